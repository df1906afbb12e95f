/** A thread that carries requests to the page and answers from it, so that the next batch travels while the page computes. */
import {described, pack, unpack, type Message} from './wire';

/** Each request in the order in which the server gives them; one that cannot be read goes on as its failure, in its turn. */
async function carry(): Promise<never> {
  for (;;) {
    let message: Message;
    try {
      message = unpack(await (await fetch('/request')).arrayBuffer());
    } catch (error) {
      message = {header: {failure: described(error)}, arrays: {}};
    }
    postMessage(message, {transfer: Object.values(message.arrays).map(({data}) => data.buffer)});
  }
}

/** One after the other: two on their way at once could overtake each other. What cannot be sent is told in its place. */
async function send({header, arrays}: Message): Promise<void> {
  try {
    await fetch('/answer', {method: 'POST', body: pack(header, arrays)});
  } catch (error) {
    await fetch('/answer', {method: 'POST', body: pack({error: described(error)})});
  }
}

let sent = Promise.resolve();
addEventListener('message', ({data}: MessageEvent<Message>) => {
  sent = sent.then(() => send(data));
});
void carry();
