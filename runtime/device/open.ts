import type { DeviceProfile } from "../../compiler/program/index.ts";
import { KilnError, messageOf } from "../errors.ts";
import type { FoundAdapter } from "./node.ts";
import { limitsToAskFor, profileOf } from "./profile.ts";

export interface OpenOptions {
  /** `auto`: a real GPU where there is one, else the software device. `software`: the software device. */
  readonly prefer: "auto" | "software";
  /**
   * Whether the driver checks each access of a buffer, for kernels that are not the compiler's. Default false: those are proven
   * to stay in theirs. In a browser it always does.
   */
  readonly checked?: boolean;
}

/** Whose driver for which device it is: what measured speeds hold for. WebGPU, `GPUAdapterInfo`; a browser may leave all empty. */
export interface AdapterIdentity {
  readonly vendor: string;
  readonly architecture: string;
  readonly device: string;
  /** With Vulkan, the driver and its version. */
  readonly description: string;
}

/** An open WebGPU device. Close it: a live device keeps a Node process running. */
export interface KilnDevice {
  readonly device: GPUDevice;
  readonly profile: DeviceProfile;
  /** What a person calls it, e.g. `NVIDIA H100` or `SwiftShader (software)`. */
  readonly name: string;
  readonly isSoftware: boolean;
  readonly adapter: AdapterIdentity;
  /** One line for a person: which device was taken and, for the software device, how to get a real one. */
  readonly notice: string;
  /** Of those that Kiln uses (`wantedFeatures`), those the device has. */
  readonly features: ReadonlySet<string>;
  /** @throws KilnError `machine` once the device was lost or reported an error that no scope caught */
  throwIfFailed(): void;
  /**
   * Runs `work`, which must not wait for anything, between error scopes.
   * @throws KilnError `machine` with the device's words, for validation errors and for lack of memory
   */
  checked<T>(what: string, work: () => T): Promise<T>;
  close(): void;
}

const wantedFeatures: readonly string[] = [
  "timestamp-query",
  "shader-f16",
  "subgroups",
  "chromium-experimental-subgroup-matrix",
];

/**
 * Opens the device to train on, with the adapter's own limits.
 * @throws KilnError `machine` where no device can be had
 */
export async function openDevice(options: OpenOptions): Promise<KilnDevice> {
  const { gpu, adapter } = await findAdapter(options);
  const has = (feature: string): feature is GPUFeatureName => adapter.features.has(feature);
  const features = wantedFeatures.filter(has);
  let device: GPUDevice;
  try {
    device = await adapter.requestDevice({
      requiredFeatures: features,
      requiredLimits: limitsToAskFor(adapter.limits),
    });
  } catch (thrown) {
    throw new KilnError("machine", `the device \`${nameOf(adapter)}\` did not open: ${messageOf(thrown)}`);
  }
  return wrapDevice(gpu, device, adapter, features);
}

/**
 * The adapter that `openDevice` would open, for who wants to open devices of his own on it.
 * @throws KilnError `machine` where there is none
 */
export async function findAdapter(options: OpenOptions): Promise<FoundAdapter> {
  const browserGpu = typeof navigator === "undefined" ? undefined : navigator.gpu;
  if (browserGpu !== undefined) {
    const adapter = await browserGpu.requestAdapter(
      options.prefer === "software"
        ? { forceFallbackAdapter: true }
        : { powerPreference: "high-performance" },
    );
    if (adapter !== null) return { gpu: browserGpu, adapter };
    throw new KilnError(
      "machine",
      "this browser has WebGPU but offers no adapter for it",
      "look at chrome://gpu",
    );
  }
  if (typeof process === "undefined" || process.versions?.node === undefined) {
    throw new KilnError(
      "machine",
      "this browser has no WebGPU",
      "use a current Chrome, Edge, Safari or Firefox",
    );
  }
  // Node's modules are loaded here only, so that a browser never asks for them.
  const { findHardwareAdapter, findSoftwareAdapter } = await import("./node.ts");
  const checked = options.checked ?? false;
  const hardware = options.prefer === "auto" ? await findHardwareAdapter(checked) : undefined;
  return hardware ?? (await findSoftwareAdapter(checked));
}

function nameOf(adapter: GPUAdapter): string {
  const { device, description, vendor, architecture } = adapter.info;
  if (/swiftshader/i.test(`${architecture} ${description} ${device}`)) return "SwiftShader (software)";
  const name =
    [device, description].find((text) => /[a-z]/i.test(text)) ?? `${vendor} ${architecture}`.trim();
  return adapter.info.isFallbackAdapter ? `${name} (software)` : name || "unnamed GPU";
}

function identityOf({ info }: GPUAdapter): AdapterIdentity {
  const { vendor, architecture, device, description } = info;
  return { vendor, architecture, device, description };
}

function wrapDevice(
  gpu: GPU,
  device: GPUDevice,
  adapter: GPUAdapter,
  features: readonly string[],
): KilnDevice {
  const name = nameOf(adapter);
  const isSoftware = adapter.info.isFallbackAdapter;
  let failure: KilnError | undefined;
  let instance: GPU | undefined = gpu;

  device.lost.then((info) => {
    if (info.reason === "destroyed" && instance === undefined) return;
    failure ??= new KilnError(
      "machine",
      `the device \`${name}\` was lost: ${info.message || info.reason}`,
      "continue from the last checkpoint with --resume; if it happens again, use a smaller batch",
    );
  });
  device.addEventListener("uncapturederror", (event) => {
    // Else Dawn prints it too.
    event.preventDefault();
    failure ??= new KilnError("machine", `the device \`${name}\` reported an error: ${event.error.message}`);
  });

  const throwIfFailed = () => {
    if (failure !== undefined) throw failure;
    if (instance === undefined) throw new KilnError("usage", `the device \`${name}\` is closed`);
  };

  return {
    device,
    profile: profileOf(
      device.limits,
      adapter.info,
      new Set([...features, ...gpu.wgslLanguageFeatures]),
      isSoftware,
    ),
    name,
    isSoftware,
    adapter: identityOf(adapter),
    notice: isSoftware
      ? `device: ${name}; slow, it computes on the processor: for a real GPU install its Vulkan driver`
      : `device: ${name}`,
    features: new Set(features),
    throwIfFailed,
    async checked<T>(what: string, work: () => T): Promise<T> {
      throwIfFailed();
      device.pushErrorScope("internal");
      device.pushErrorScope("out-of-memory");
      device.pushErrorScope("validation");
      // Popped before anything is awaited: scopes are a stack that all callers share.
      const popAll = () =>
        Promise.all([device.popErrorScope(), device.popErrorScope(), device.popErrorScope()]);
      let result: T;
      try {
        result = work();
      } catch (thrown) {
        await popAll();
        throw thrown;
      }
      const [validation, memory, internal] = await popAll();
      if (memory) {
        throw new KilnError(
          "machine",
          `not enough device memory: ${what}: ${memory.message}`,
          "use a smaller batch",
        );
      }
      const error = validation ?? internal;
      if (error) throw new KilnError("machine", `the device refused ${what}: ${error.message}`);
      throwIfFailed();
      return result;
    },
    close() {
      if (instance === undefined) return;
      instance = undefined;
      device.destroy();
    },
  };
}
