import { globals } from "webgpu";
import { findAdapter } from "../runtime/device/index.ts";
import { countCalls, type DeviceCounts } from "./device-counts.ts";

export interface CountedDevice {
  readonly device: GPUDevice;
  readonly counts: DeviceCounts;
}

/** One adapter for all frameworks, with an instance of Dawn for each kind of device, at the place where browsers have it: `navigator.gpu`. */
export interface SharedGpu {
  /**
   * Runs `open`, in which a framework opens its device through `navigator.gpu`.
   * @param checked whether that device checks each access of a buffer: WebGPU's default
   * @returns what `open` gave, that device, and its counts from the first call on
   * @throws Error when `open` opens no device, or several
   */
  opening<T>(checked: boolean, open: () => Promise<T>): Promise<CountedDevice & { readonly result: T }>;
  /** Puts `navigator` back. */
  close(): void;
}

/** Dawn's instances, for as long as the process lives: one that is collected before its devices takes the process down. */
const instances: GPU[] = [];

/**
 * Finds the adapter that Kiln would take and makes Node look like a browser that has it, so that every framework opens its
 * device by its own code, with the limits and features it asks for.
 * @throws KilnError `machine` where there is no adapter
 */
export async function shareGpu(prefer: "auto" | "software"): Promise<SharedGpu> {
  const { gpu: checking } = await findAdapter({ prefer, checked: true });
  const { gpu: trusting } = await findAdapter({ prefer });
  instances.push(checking, trusting);
  let opened: CountedDevice[] = [];
  let gpu = checking;
  const requestAdapter = async (): Promise<GPUAdapter | null> => {
    // An adapter gives one device only, so each framework gets an object of its own for the one adapter of this instance.
    const adapter = await gpu.requestAdapter();
    if (adapter === null) return null;
    const requestDevice = adapter.requestDevice.bind(adapter);
    adapter.requestDevice = async (descriptor) => {
      const device = await requestDevice(descriptor);
      opened.push({ device, counts: countCalls(device) });
      return device;
    };
    return adapter;
  };
  // GPUBufferUsage, GPUMapMode, ...: frameworks take them from the global object, as in a browser.
  Object.assign(globalThis, globals);
  const before = Object.getOwnPropertyDescriptor(globalThis, "navigator");
  const { availableParallelism } = await import("node:os");
  Object.defineProperty(globalThis, "navigator", {
    configurable: true,
    value: {
      gpu: {
        requestAdapter,
        getPreferredCanvasFormat: () => "bgra8unorm",
        wgslLanguageFeatures: checking.wgslLanguageFeatures,
      },
      userAgent: "Node.js",
      hardwareConcurrency: availableParallelism(),
    },
  });
  return {
    async opening<T>(checked: boolean, open: () => Promise<T>) {
      opened = [];
      gpu = checked ? checking : trusting;
      const result = await open();
      const [counted] = opened;
      if (counted === undefined || opened.length > 1) {
        throw new Error(`${opened.length} devices were opened where one was expected`);
      }
      return { ...counted, result };
    },
    close() {
      if (before === undefined) Reflect.deleteProperty(globalThis, "navigator");
      else Object.defineProperty(globalThis, "navigator", before);
    },
  };
}
