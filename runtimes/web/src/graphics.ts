/** What a GPU backend draws on; `software` where a processor plays the GPU or nobody knows: such times say nothing about a GPU. */
export async function graphics(backend: string): Promise<Record<string, unknown>> {
  const renderer = backend === 'webgl' ? webgl() : backend === 'webgpu' ? await webgpu() : null;
  return renderer === null ? {} : {renderer, software: /swiftshader|llvmpipe|software|unknown/i.test(renderer)};
}

function webgl(): string {
  const context = new OffscreenCanvas(1, 1).getContext('webgl2');
  const known = context?.getExtension('WEBGL_debug_renderer_info');
  return context && known ? String(context.getParameter(known.UNMASKED_RENDERER_WEBGL)) : 'unknown';
}

async function webgpu(): Promise<string> {
  const info = (await navigator.gpu?.requestAdapter())?.info;
  return info ? [info.vendor, info.architecture, info.description, info.isFallbackAdapter ? 'software' : ''].filter(Boolean).join(' ') : 'unknown';
}
