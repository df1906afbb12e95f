/** The camera: single frames, or one prediction after the other. */
import type {Picture} from '../preprocess';
import {element} from './dom';
import {pixels} from './pictures';

const REFUSALS: Record<string, string> = {
  NotAllowedError: 'The camera was not allowed; the browser asks again when its permission for this page is reset.',
  NotFoundError: 'This device has no camera.',
  NotReadableError: 'The camera is in use by another program.',
};

/** Wire up the camera panel; `seen` gets each frame and is awaited, so that frames never queue up. Returns what stops it. */
export function camera(seen: (picture: Picture) => Promise<void>): () => void {
  const video = element('video', HTMLVideoElement);
  const [toggle, shoot] = [element('camera', HTMLButtonElement), element('shoot', HTMLButtonElement)];
  const live = element('live', HTMLInputElement);
  const note = element('camera-note', HTMLElement);
  let stream: MediaStream | null = null;

  const stop = () => {
    stream?.getTracks().forEach((track) => track.stop());
    stream = null;
    video.srcObject = null;
    live.checked = false;
    live.disabled = shoot.disabled = true;
    toggle.textContent = 'Start the camera';
  };
  const start = async () => {
    if (!navigator.mediaDevices) {
      note.textContent = 'Browsers give the camera only to pages on https or localhost.';
      return;
    }
    try {
      stream = await navigator.mediaDevices.getUserMedia({video: {facingMode: 'environment'}});
      video.srcObject = stream;
      await video.play();
      live.disabled = shoot.disabled = false;
      toggle.textContent = 'Stop the camera';
      note.textContent = 'The picture stays on this device.';
    } catch (error) {
      stop();
      const name = error instanceof DOMException ? error.name : '';
      note.textContent = REFUSALS[name] ?? `The camera could not be started (${String(error)}).`;
    }
  };
  const loop = async () => {
    while (live.checked && stream) {
      await seen(pixels(video, true));
      await new Promise(requestAnimationFrame);
    }
  };
  toggle.addEventListener('click', () => (stream ? stop() : void start()));
  shoot.addEventListener('click', () => void seen(pixels(video, true)));
  live.addEventListener('change', () => void loop());
  return stop;
}
