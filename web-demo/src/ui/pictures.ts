/** Pictures from files: chosen, dropped anywhere on the page, or pasted. */
import type {Picture} from '../preprocess';

const LARGEST = 1024;

/** Call `found` with each picture, or `failed` with what is wrong with it. */
export function pictureFiles(
  input: HTMLInputElement, drop: HTMLElement, found: (picture: Picture, name: string) => void, failed: (message: string) => void,
): void {
  const take = async (file: File | undefined) => {
    if (!file) return;
    try {
      found(pixels(await createImageBitmap(file)), file.name);
    } catch {
      failed(`${file.name} is no picture that this browser can read.`);
    }
  };
  input.addEventListener('change', () => void take(input.files?.[0]));
  document.addEventListener('dragover', (event) => {
    event.preventDefault();
    drop.classList.add('over');
  });
  document.addEventListener('dragleave', () => drop.classList.remove('over'));
  document.addEventListener('drop', (event) => {
    event.preventDefault();
    drop.classList.remove('over');
    void take(event.dataTransfer?.files[0]);
  });
  document.addEventListener('paste', (event) => void take(event.clipboardData?.files[0]));
}

/** The pixels of a picture; a very large one is made smaller by the browser first. With `square`, its middle only. */
export function pixels(source: ImageBitmap | HTMLVideoElement, square = false): Picture {
  const [width, height] = source instanceof HTMLVideoElement ? [source.videoWidth, source.videoHeight] : [source.width, source.height];
  const [wide, high] = square ? [Math.min(width, height), Math.min(width, height)] : [width, height];
  const scale = Math.min(1, LARGEST / Math.max(wide, high));
  const canvas = document.createElement('canvas');
  canvas.width = Math.max(1, Math.round(wide * scale));
  canvas.height = Math.max(1, Math.round(high * scale));
  const context = canvas.getContext('2d', {willReadFrequently: true});
  if (!context) throw new Error('no canvas');
  context.drawImage(source, (width - wide) / 2, (height - high) / 2, wide, high, 0, 0, canvas.width, canvas.height);
  return context.getImageData(0, 0, canvas.width, canvas.height);
}
