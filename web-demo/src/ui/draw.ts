/** The drawing area: bright strokes on a dark ground, predicted whenever a stroke ends. */
import type {Picture} from '../preprocess';

const BRUSH = 18;

export function drawing(pad: HTMLCanvasElement, clear: HTMLButtonElement, drawn: (picture: Picture) => void): void {
  const context = pad.getContext('2d', {willReadFrequently: true});
  if (!context) return;
  const wipe = () => {
    context.fillStyle = '#000';
    context.fillRect(0, 0, pad.width, pad.height);
  };
  const place = (event: PointerEvent): [number, number] => {
    const box = pad.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * pad.width, ((event.clientY - box.top) / box.height) * pad.height];
  };
  let from: [number, number] | null = null;
  const stroke = (event: PointerEvent) => {
    if (!from) return;
    const to = place(event);
    Object.assign(context, {strokeStyle: '#fff', lineWidth: BRUSH, lineCap: 'round', lineJoin: 'round'});
    context.beginPath();
    context.moveTo(...from);
    context.lineTo(...to);
    context.stroke();
    from = to;
  };
  const end = () => {
    if (!from) return;
    from = null;
    drawn(context.getImageData(0, 0, pad.width, pad.height));
  };
  pad.addEventListener('pointerdown', (event) => {
    pad.setPointerCapture(event.pointerId);
    from = place(event);
    stroke(event);
  });
  pad.addEventListener('pointermove', stroke);
  pad.addEventListener('pointerup', end);
  pad.addEventListener('pointercancel', end);
  clear.addEventListener('click', wipe);
  wipe();
}
