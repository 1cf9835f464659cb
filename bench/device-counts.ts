/** What a framework has asked of its device so far, counted at the WebGPU calls themselves. */
export interface DeviceCounts {
  readonly dispatches: number;
  /** Calls of `queue.submit`, whatever number of command buffers they carry. */
  readonly submits: number;
  readonly pipelines: number;
  /** Sum of the sizes of all buffers made and not yet destroyed. One that is dropped without `destroy` stays in it. */
  readonly liveBytes: number;
  /** The largest `liveBytes` so far. */
  readonly peakBytes: number;
  /** When the last `queue.submit` returned, in milliseconds of `performance.now()`. */
  readonly lastSubmitMs: number;
}

/**
 * Counts the calls of one device from now on, by standing before its methods: own properties of this device, of its queue and
 * of the encoders, passes and buffers it makes. Other devices of the process are not touched.
 * @returns figures that grow as the device is used
 */
export function countCalls(device: GPUDevice): DeviceCounts {
  const counts = { dispatches: 0, submits: 0, pipelines: 0, liveBytes: 0, peakBytes: 0, lastSubmitMs: 0 };

  const createBuffer = device.createBuffer.bind(device);
  device.createBuffer = (descriptor) => {
    const buffer = createBuffer(descriptor);
    const sizeBytes = buffer.size;
    counts.liveBytes += sizeBytes;
    counts.peakBytes = Math.max(counts.peakBytes, counts.liveBytes);
    const destroy = buffer.destroy.bind(buffer);
    let isLive = true;
    buffer.destroy = () => {
      if (isLive) counts.liveBytes -= sizeBytes;
      isLive = false;
      return destroy();
    };
    return buffer;
  };

  const createComputePipeline = device.createComputePipeline.bind(device);
  device.createComputePipeline = (descriptor) => {
    counts.pipelines += 1;
    return createComputePipeline(descriptor);
  };
  const createComputePipelineAsync = device.createComputePipelineAsync.bind(device);
  device.createComputePipelineAsync = (descriptor) => {
    counts.pipelines += 1;
    return createComputePipelineAsync(descriptor);
  };

  const createCommandEncoder = device.createCommandEncoder.bind(device);
  device.createCommandEncoder = (descriptor) => {
    const encoder = createCommandEncoder(descriptor);
    const beginComputePass = encoder.beginComputePass.bind(encoder);
    encoder.beginComputePass = (passDescriptor) => {
      const pass = beginComputePass(passDescriptor);
      const dispatchWorkgroups = pass.dispatchWorkgroups.bind(pass);
      pass.dispatchWorkgroups = (x, y, z) => {
        counts.dispatches += 1;
        return dispatchWorkgroups(x, y, z);
      };
      const dispatchWorkgroupsIndirect = pass.dispatchWorkgroupsIndirect.bind(pass);
      pass.dispatchWorkgroupsIndirect = (buffer, offset) => {
        counts.dispatches += 1;
        return dispatchWorkgroupsIndirect(buffer, offset);
      };
      return pass;
    };
    return encoder;
  };

  const { queue } = device;
  const submit = queue.submit.bind(queue);
  queue.submit = (commandBuffers) => {
    counts.submits += 1;
    const result = submit(commandBuffers);
    counts.lastSubmitMs = performance.now();
    return result;
  };
  return counts;
}
