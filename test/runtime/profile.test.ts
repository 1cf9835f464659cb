import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type KilnDevice, openDevice } from "../../runtime/device/index.ts";
import { profileOf } from "../../runtime/device/profile.ts";

describe("what a profile says of optional features", () => {
  let kiln: KilnDevice;
  beforeAll(async () => {
    kiln = await openDevice({ prefer: "software" });
  });
  afterAll(() => kiln.close());

  /** As Dawn has them: fields are getters. */
  class Config {
    constructor(readonly of: readonly [string, string, number]) {}
    get componentType() {
      return this.of[0];
    }
    get resultComponentType() {
      return this.of[1];
    }
    get M() {
      return this.of[2];
    }
    get N() {
      return this.of[2] / 2;
    }
    get K() {
      return this.of[2] * 2;
    }
  }
  const configs = [
    new Config(["f16", "f32", 16]),
    new Config(["f16", "f16", 16]),
    new Config(["u8", "u32", 8]),
    new Config(["f16", "f32", 8]),
  ];
  const all = ["shader-f16", "subgroups", "subgroup_id", "chromium-experimental-subgroup-matrix"];
  const optional = (info: object, features: readonly string[]) => {
    const { f16, subgroupSizes, subgroupMatrices } = profileOf(
      kiln.device.limits,
      { ...kiln.device.adapterInfo, ...info },
      new Set(features),
      false,
    );
    return { f16, subgroupSizes, subgroupMatrices };
  };
  const sizes = { subgroupMinSize: 32, subgroupMaxSize: 32 };

  test("matrices of f16 that are summed in f32", () => {
    expect(optional({ ...sizes, subgroupMatrixConfigs: configs }, all)).toEqual({
      f16: true,
      subgroupSizes: { min: 32, max: 32 },
      subgroupMatrices: [
        { m: 16, n: 8, k: 32 },
        { m: 8, n: 4, k: 16 },
      ],
    });
  });

  test("nothing that the device has not", () => {
    const none = { f16: false, subgroupSizes: undefined, subgroupMatrices: undefined };
    expect(optional({ ...sizes, subgroupMatrixConfigs: configs }, [])).toEqual(none);
    const without = (feature: string) => all.filter((name) => name !== feature);
    // Kernels ask which subgroup they are in: where WGSL cannot say so, there are none.
    expect(optional(sizes, without("subgroup_id"))).toEqual({ ...none, f16: true });
    expect(optional({ subgroupMinSize: undefined, subgroupMaxSize: undefined }, all)).toEqual({
      ...none,
      f16: true,
    });
    expect(optional(sizes, without("chromium-experimental-subgroup-matrix"))).toEqual({
      ...none,
      f16: true,
      subgroupSizes: { min: 32, max: 32 },
    });
    expect(optional(sizes, all).subgroupMatrices).toEqual([]);
  });
});
