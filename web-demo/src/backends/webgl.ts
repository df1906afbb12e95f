export * from '@tensorflow/tfjs-backend-webgl';
