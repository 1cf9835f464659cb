import type { DeviceProfile } from "../compiler/program/index.ts";

/**
 * The profile to compile for: `software` is known without opening anything, `auto` asks the device of this machine.
 * @throws KilnError `machine` where no device can be had
 */
export async function profileFor(wish: "auto" | "software"): Promise<DeviceProfile> {
  const { openDevice, softwareProfile } = await import("../runtime/device/index.ts");
  if (wish === "software") return softwareProfile;
  const device = await openDevice({ prefer: wish });
  const { profile } = device;
  device.close();
  return profile;
}
