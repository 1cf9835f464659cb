// max_shifted_sum_weights
//   max: f32[32, 2, 32]  encoder.blocks.0.attention  models/lib/math.bert:27:39
//   shifted: f32[32, 2, 32, 32]  encoder.blocks.0.attention  models/lib/math.bert:27:17
//   sum: f32[32, 2, 32]  encoder.blocks.0.attention  models/lib/math.bert:28:20
//   weights: f32[32, 2, 32, 32]  encoder.blocks.0.attention  models/lib/attention.bert:9:17
@group(0) @binding(0) var<storage, read_write> t_where: array<vec4<f32>>;  // f32[32, 2, 32, 32] encoder.blocks.0.attention
@group(0) @binding(1) var<storage, read_write> t_weights: array<u32>;  // u32[] encoder.blocks.0.attention
@group(0) @binding(2) var<storage, read_write> t_shifted: array<vec4<f32>>;  // f32[32, 2, 32, 32] encoder.blocks.0.attention
@group(0) @binding(3) var<storage, read_write> t_weights_2: array<vec4<f32>>;  // f32[32, 2, 32, 32] encoder.blocks.0.attention
@group(0) @binding(4) var<storage, read_write> t_sum: array<f32>;  // f32[32, 2, 32] encoder.blocks.0.attention

fn hash_4(x: vec4<u32>) -> vec4<u32> {
  let state = x * 747796405u + 2891336453u;
  let word = ((state >> ((state >> vec4<u32>(28u)) + 4u)) ^ state) * 277803737u;
  return (word >> vec4<u32>(22u)) ^ word;
}

fn uniform01_4(key: vec4<u32>, index: vec4<i32>) -> vec4<f32> {
  return vec4<f32>(hash_4(key ^ hash_4(vec4<u32>(index))) >> vec4<u32>(8u)) * 5.9604644775390625e-8;
}

@compute @workgroup_size(4)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) local_index: u32) {
  let workgroup = i32(group.x + group.y * groups.x);
  let local = i32(local_index);
  let invocation = workgroup * 4 + local;
  if (invocation >= 2048) { return; }
  let row = invocation;
  var part_max0 = vec4<f32>(-3.4028234663852886e+38f);
  let i_1 = row * 32;
  for (var i = 0; i < 32; i += 4) {
    let i_2 = (i_1 + i);
    let where_3 = t_where[i_2 >> 2u];
    part_max0 = max(part_max0, where_3);
  }
  let max0 = max((max(part_max0.x, part_max0.y)), (max(part_max0.z, part_max0.w)));
  var part_sum1 = vec4<f32>(0f);
  for (var i = 0; i < 32; i += 4) {
    let i_4 = (i_1 + i);
    let where_5 = t_where[i_4 >> 2u];
    let v_6 = exp((where_5 - max0));
    part_sum1 = part_sum1 + v_6;
    t_shifted[i_4 >> 2u] = v_6;
  }
  let sum1 = (part_sum1.x + part_sum1.y) + (part_sum1.z + part_sum1.w);
  let weights_7 = t_weights[0];
  for (var i = 0; i < 32; i += 4) {
    let i_8 = (i_1 + (vec4<i32>(i) + vec4<i32>(0, 1, 2, 3)));
    let v_9 = (uniform01_4(vec4<u32>(weights_7), i_8) < vec4<f32>(0.8999999761581421f));
    let i_10 = (i_1 + i);
    let where_11 = t_where[i_10 >> 2u];
    let v_12 = exp((where_11 - max0));
    let v_13 = select(vec4<f32>(0f), ((v_12 / vec4<f32>(sum1)) * 1.1111111640930176f), v_9);
    t_weights_2[i_10 >> 2u] = v_13;
  }
  t_sum[row] = sum1;
}

// mean_variance_rsqrt_mul_attended
//   mean: f32[32, 32]  encoder.blocks.0.attention_norm  models/lib/layers.bert:37:24
//   variance: f32[32, 32]  encoder.blocks.0.attention_norm  models/lib/layers.bert:38:20
//   rsqrt: f32[32, 32]  encoder.blocks.0.attention_norm  models/lib/layers.bert:39:23
//   mul: f32[32, 32, 64]  encoder.blocks.0.attention_norm  models/lib/layers.bert:39:12
//   attended: f32[32, 32, 64]  encoder.blocks.0.attention_norm  models/lib/layers.bert:39:12
@group(0) @binding(0) var<storage, read_write> t_add: array<vec4<f32>>;  // f32[32, 32, 64] encoder.blocks.0
@group(0) @binding(1) var<storage, read> t_gamma: array<vec4<f32>>;  // f32[64] encoder.blocks.0.attention_norm
@group(0) @binding(2) var<storage, read> t_beta: array<vec4<f32>>;  // f32[64] encoder.blocks.0.attention_norm
@group(0) @binding(3) var<storage, read_write> t_mul: array<vec4<f32>>;  // f32[32, 32, 64] encoder.blocks.0.attention_norm
@group(0) @binding(4) var<storage, read_write> t_attended: array<vec4<f32>>;  // f32[32, 32, 64] encoder.blocks.0.attention_norm
@group(0) @binding(5) var<storage, read_write> t_mean: array<f32>;  // f32[32, 32] encoder.blocks.0.attention_norm
@group(0) @binding(6) var<storage, read_write> t_rsqrt: array<f32>;  // f32[32, 32] encoder.blocks.0.attention_norm

@compute @workgroup_size(4)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) local_index: u32) {
  let workgroup = i32(group.x + group.y * groups.x);
  let local = i32(local_index);
  let invocation = workgroup * 4 + local;
  if (invocation >= 1024) { return; }
  let row = invocation;
  var part_sum0 = vec4<f32>(0f);
  let i_1 = row * 64;
  for (var i = 0; i < 64; i += 4) {
    let i_2 = (i_1 + i);
    let add_3 = t_add[i_2 >> 2u];
    part_sum0 = part_sum0 + add_3;
  }
  let sum0 = (part_sum0.x + part_sum0.y) + (part_sum0.z + part_sum0.w);
  var part_sum1 = vec4<f32>(0f);
  let v_6 = (sum0 * 0.015625f);
  for (var i = 0; i < 64; i += 4) {
    let i_4 = (i_1 + i);
    let add_5 = t_add[i_4 >> 2u];
    let v_7 = (add_5 - v_6);
    part_sum1 = part_sum1 + (v_7 * v_7);
  }
  let sum1 = (part_sum1.x + part_sum1.y) + (part_sum1.z + part_sum1.w);
  let v_11 = (sum1 * 0.015625f);
  let v_12 = (v_11 + 0.000009999999747378752f);
  let v_13 = inverseSqrt(v_12);
  for (var i = 0; i < 64; i += 4) {
    let i_8 = (i_1 + i);
    let add_9 = t_add[i_8 >> 2u];
    let v_10 = (add_9 - v_6);
    let v_14 = (v_10 * v_13);
    t_mul[i_8 >> 2u] = v_14;
    let gamma_15 = t_gamma[i >> 2u];
    let beta_16 = t_beta[i >> 2u];
    t_attended[i_8 >> 2u] = ((v_14 * gamma_15) + beta_16);
  }
  t_mean[row] = sum0;
  t_rsqrt[row] = v_13;
}

// einsum_where
//   einsum: f32[32, 2, 32, 32]  encoder.blocks.0.attention  models/lib/attention.bert:8:16
//   where: f32[32, 2, 32, 32]  encoder.blocks.0.attention  models/lib/attention.bert:9:30
@group(0) @binding(0) var<storage, read_write> t_matmul: array<vec4<f32>>;  // f32[32, 32, 64] encoder.blocks.0.attention.query
@group(0) @binding(1) var<storage, read> t_bias: array<vec4<f32>>;  // f32[64] encoder.blocks.0.attention.query
@group(0) @binding(2) var<storage, read_write> t_matmul_2: array<vec4<f32>>;  // f32[32, 32, 64] encoder.blocks.0.attention.key
@group(0) @binding(3) var<storage, read> t_bias_2: array<vec4<f32>>;  // f32[64] encoder.blocks.0.attention.key
@group(0) @binding(4) var<storage, read> t_valid: array<i32>;  // i32[32]
@group(0) @binding(5) var<storage, read_write> t_where: array<vec4<f32>>;  // f32[32, 2, 32, 32] encoder.blocks.0.attention

@compute @workgroup_size(4)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) local_index: u32) {
  let workgroup = i32(group.x + group.y * groups.x);
  let local = i32(local_index);
  let invocation = workgroup * 4 + local;
  if (invocation >= 512) { return; }
  let m = (invocation % 4) * 8;
  let n = (invocation / 4 % 2) * 16;
  let batch = invocation / 8;
  var acc_0_0 = vec4<f32>();
  var acc_0_1 = vec4<f32>();
  var acc_0_2 = vec4<f32>();
  var acc_0_3 = vec4<f32>();
  var acc_1_0 = vec4<f32>();
  var acc_1_1 = vec4<f32>();
  var acc_1_2 = vec4<f32>();
  var acc_1_3 = vec4<f32>();
  var acc_2_0 = vec4<f32>();
  var acc_2_1 = vec4<f32>();
  var acc_2_2 = vec4<f32>();
  var acc_2_3 = vec4<f32>();
  var acc_3_0 = vec4<f32>();
  var acc_3_1 = vec4<f32>();
  var acc_3_2 = vec4<f32>();
  var acc_3_3 = vec4<f32>();
  var acc_4_0 = vec4<f32>();
  var acc_4_1 = vec4<f32>();
  var acc_4_2 = vec4<f32>();
  var acc_4_3 = vec4<f32>();
  var acc_5_0 = vec4<f32>();
  var acc_5_1 = vec4<f32>();
  var acc_5_2 = vec4<f32>();
  var acc_5_3 = vec4<f32>();
  var acc_6_0 = vec4<f32>();
  var acc_6_1 = vec4<f32>();
  var acc_6_2 = vec4<f32>();
  var acc_6_3 = vec4<f32>();
  var acc_7_0 = vec4<f32>();
  var acc_7_1 = vec4<f32>();
  var acc_7_2 = vec4<f32>();
  var acc_7_3 = vec4<f32>();
  let i_1 = (batch & 1);
  let i_2 = (batch >> 1u);
  let i_3 = n * 64 + i_1 * 32 + i_2 * 2048;
  let i_5 = i_1 * 32;
  let i_42 = m * 64 + i_1 * 32 + i_2 * 2048;
  for (var k = 0; k < 32; k += 4) {
    let matmul_2_4 = t_matmul_2[(i_3 + k) >> 2u];
    let bias_2_6 = t_bias_2[(i_5 + k) >> 2u];
    let t_7 = (matmul_2_4 + bias_2_6);
    let matmul_2_8 = t_matmul_2[(i_3 + k + 64) >> 2u];
    let t_9 = (matmul_2_8 + bias_2_6);
    let matmul_2_10 = t_matmul_2[(i_3 + k + 128) >> 2u];
    let t_11 = (matmul_2_10 + bias_2_6);
    let matmul_2_12 = t_matmul_2[(i_3 + k + 192) >> 2u];
    let t_13 = (matmul_2_12 + bias_2_6);
    let t_14 = vec4<f32>(t_7.x, t_9.x, t_11.x, t_13.x);
    let matmul_2_15 = t_matmul_2[(i_3 + k + 256) >> 2u];
    let t_16 = (matmul_2_15 + bias_2_6);
    let matmul_2_17 = t_matmul_2[(i_3 + k + 320) >> 2u];
    let t_18 = (matmul_2_17 + bias_2_6);
    let matmul_2_19 = t_matmul_2[(i_3 + k + 384) >> 2u];
    let t_20 = (matmul_2_19 + bias_2_6);
    let matmul_2_21 = t_matmul_2[(i_3 + k + 448) >> 2u];
    let t_22 = (matmul_2_21 + bias_2_6);
    let t_23 = vec4<f32>(t_16.x, t_18.x, t_20.x, t_22.x);
    let matmul_2_24 = t_matmul_2[(i_3 + k + 512) >> 2u];
    let t_25 = (matmul_2_24 + bias_2_6);
    let matmul_2_26 = t_matmul_2[(i_3 + k + 576) >> 2u];
    let t_27 = (matmul_2_26 + bias_2_6);
    let matmul_2_28 = t_matmul_2[(i_3 + k + 640) >> 2u];
    let t_29 = (matmul_2_28 + bias_2_6);
    let matmul_2_30 = t_matmul_2[(i_3 + k + 704) >> 2u];
    let t_31 = (matmul_2_30 + bias_2_6);
    let t_32 = vec4<f32>(t_25.x, t_27.x, t_29.x, t_31.x);
    let matmul_2_33 = t_matmul_2[(i_3 + k + 768) >> 2u];
    let t_34 = (matmul_2_33 + bias_2_6);
    let matmul_2_35 = t_matmul_2[(i_3 + k + 832) >> 2u];
    let t_36 = (matmul_2_35 + bias_2_6);
    let matmul_2_37 = t_matmul_2[(i_3 + k + 896) >> 2u];
    let t_38 = (matmul_2_37 + bias_2_6);
    let matmul_2_39 = t_matmul_2[(i_3 + k + 960) >> 2u];
    let t_40 = (matmul_2_39 + bias_2_6);
    let t_41 = vec4<f32>(t_34.x, t_36.x, t_38.x, t_40.x);
    let matmul_43 = t_matmul[(i_42 + k) >> 2u];
    let bias_44 = t_bias[(i_5 + k) >> 2u];
    let t_45 = (matmul_43 + bias_44);
    let t_46 = t_45.x;
    acc_0_0 += t_46 * t_14;
    acc_0_1 += t_46 * t_23;
    acc_0_2 += t_46 * t_32;
    acc_0_3 += t_46 * t_41;
    let matmul_47 = t_matmul[(i_42 + k + 64) >> 2u];
    let t_48 = (matmul_47 + bias_44);
    let t_49 = t_48.x;
    acc_1_0 += t_49 * t_14;
    acc_1_1 += t_49 * t_23;
    acc_1_2 += t_49 * t_32;
    acc_1_3 += t_49 * t_41;
    let matmul_50 = t_matmul[(i_42 + k + 128) >> 2u];
    let t_51 = (matmul_50 + bias_44);
    let t_52 = t_51.x;
    acc_2_0 += t_52 * t_14;
    acc_2_1 += t_52 * t_23;
    acc_2_2 += t_52 * t_32;
    acc_2_3 += t_52 * t_41;
    let matmul_53 = t_matmul[(i_42 + k + 192) >> 2u];
    let t_54 = (matmul_53 + bias_44);
    let t_55 = t_54.x;
    acc_3_0 += t_55 * t_14;
    acc_3_1 += t_55 * t_23;
    acc_3_2 += t_55 * t_32;
    acc_3_3 += t_55 * t_41;
    let matmul_56 = t_matmul[(i_42 + k + 256) >> 2u];
    let t_57 = (matmul_56 + bias_44);
    let t_58 = t_57.x;
    acc_4_0 += t_58 * t_14;
    acc_4_1 += t_58 * t_23;
    acc_4_2 += t_58 * t_32;
    acc_4_3 += t_58 * t_41;
    let matmul_59 = t_matmul[(i_42 + k + 320) >> 2u];
    let t_60 = (matmul_59 + bias_44);
    let t_61 = t_60.x;
    acc_5_0 += t_61 * t_14;
    acc_5_1 += t_61 * t_23;
    acc_5_2 += t_61 * t_32;
    acc_5_3 += t_61 * t_41;
    let matmul_62 = t_matmul[(i_42 + k + 384) >> 2u];
    let t_63 = (matmul_62 + bias_44);
    let t_64 = t_63.x;
    acc_6_0 += t_64 * t_14;
    acc_6_1 += t_64 * t_23;
    acc_6_2 += t_64 * t_32;
    acc_6_3 += t_64 * t_41;
    let matmul_65 = t_matmul[(i_42 + k + 448) >> 2u];
    let t_66 = (matmul_65 + bias_44);
    let t_67 = t_66.x;
    acc_7_0 += t_67 * t_14;
    acc_7_1 += t_67 * t_23;
    acc_7_2 += t_67 * t_32;
    acc_7_3 += t_67 * t_41;
    let t_68 = vec4<f32>(t_7.y, t_9.y, t_11.y, t_13.y);
    let t_69 = vec4<f32>(t_16.y, t_18.y, t_20.y, t_22.y);
    let t_70 = vec4<f32>(t_25.y, t_27.y, t_29.y, t_31.y);
    let t_71 = vec4<f32>(t_34.y, t_36.y, t_38.y, t_40.y);
    let t_72 = t_45.y;
    acc_0_0 += t_72 * t_68;
    acc_0_1 += t_72 * t_69;
    acc_0_2 += t_72 * t_70;
    acc_0_3 += t_72 * t_71;
    let t_73 = t_48.y;
    acc_1_0 += t_73 * t_68;
    acc_1_1 += t_73 * t_69;
    acc_1_2 += t_73 * t_70;
    acc_1_3 += t_73 * t_71;
    let t_74 = t_51.y;
    acc_2_0 += t_74 * t_68;
    acc_2_1 += t_74 * t_69;
    acc_2_2 += t_74 * t_70;
    acc_2_3 += t_74 * t_71;
    let t_75 = t_54.y;
    acc_3_0 += t_75 * t_68;
    acc_3_1 += t_75 * t_69;
    acc_3_2 += t_75 * t_70;
    acc_3_3 += t_75 * t_71;
    let t_76 = t_57.y;
    acc_4_0 += t_76 * t_68;
    acc_4_1 += t_76 * t_69;
    acc_4_2 += t_76 * t_70;
    acc_4_3 += t_76 * t_71;
    let t_77 = t_60.y;
    acc_5_0 += t_77 * t_68;
    acc_5_1 += t_77 * t_69;
    acc_5_2 += t_77 * t_70;
    acc_5_3 += t_77 * t_71;
    let t_78 = t_63.y;
    acc_6_0 += t_78 * t_68;
    acc_6_1 += t_78 * t_69;
    acc_6_2 += t_78 * t_70;
    acc_6_3 += t_78 * t_71;
    let t_79 = t_66.y;
    acc_7_0 += t_79 * t_68;
    acc_7_1 += t_79 * t_69;
    acc_7_2 += t_79 * t_70;
    acc_7_3 += t_79 * t_71;
    let t_80 = vec4<f32>(t_7.z, t_9.z, t_11.z, t_13.z);
    let t_81 = vec4<f32>(t_16.z, t_18.z, t_20.z, t_22.z);
    let t_82 = vec4<f32>(t_25.z, t_27.z, t_29.z, t_31.z);
    let t_83 = vec4<f32>(t_34.z, t_36.z, t_38.z, t_40.z);
    let t_84 = t_45.z;
    acc_0_0 += t_84 * t_80;
    acc_0_1 += t_84 * t_81;
    acc_0_2 += t_84 * t_82;
    acc_0_3 += t_84 * t_83;
    let t_85 = t_48.z;
    acc_1_0 += t_85 * t_80;
    acc_1_1 += t_85 * t_81;
    acc_1_2 += t_85 * t_82;
    acc_1_3 += t_85 * t_83;
    let t_86 = t_51.z;
    acc_2_0 += t_86 * t_80;
    acc_2_1 += t_86 * t_81;
    acc_2_2 += t_86 * t_82;
    acc_2_3 += t_86 * t_83;
    let t_87 = t_54.z;
    acc_3_0 += t_87 * t_80;
    acc_3_1 += t_87 * t_81;
    acc_3_2 += t_87 * t_82;
    acc_3_3 += t_87 * t_83;
    let t_88 = t_57.z;
    acc_4_0 += t_88 * t_80;
    acc_4_1 += t_88 * t_81;
    acc_4_2 += t_88 * t_82;
    acc_4_3 += t_88 * t_83;
    let t_89 = t_60.z;
    acc_5_0 += t_89 * t_80;
    acc_5_1 += t_89 * t_81;
    acc_5_2 += t_89 * t_82;
    acc_5_3 += t_89 * t_83;
    let t_90 = t_63.z;
    acc_6_0 += t_90 * t_80;
    acc_6_1 += t_90 * t_81;
    acc_6_2 += t_90 * t_82;
    acc_6_3 += t_90 * t_83;
    let t_91 = t_66.z;
    acc_7_0 += t_91 * t_80;
    acc_7_1 += t_91 * t_81;
    acc_7_2 += t_91 * t_82;
    acc_7_3 += t_91 * t_83;
    let t_92 = vec4<f32>(t_7.w, t_9.w, t_11.w, t_13.w);
    let t_93 = vec4<f32>(t_16.w, t_18.w, t_20.w, t_22.w);
    let t_94 = vec4<f32>(t_25.w, t_27.w, t_29.w, t_31.w);
    let t_95 = vec4<f32>(t_34.w, t_36.w, t_38.w, t_40.w);
    let t_96 = t_45.w;
    acc_0_0 += t_96 * t_92;
    acc_0_1 += t_96 * t_93;
    acc_0_2 += t_96 * t_94;
    acc_0_3 += t_96 * t_95;
    let t_97 = t_48.w;
    acc_1_0 += t_97 * t_92;
    acc_1_1 += t_97 * t_93;
    acc_1_2 += t_97 * t_94;
    acc_1_3 += t_97 * t_95;
    let t_98 = t_51.w;
    acc_2_0 += t_98 * t_92;
    acc_2_1 += t_98 * t_93;
    acc_2_2 += t_98 * t_94;
    acc_2_3 += t_98 * t_95;
    let t_99 = t_54.w;
    acc_3_0 += t_99 * t_92;
    acc_3_1 += t_99 * t_93;
    acc_3_2 += t_99 * t_94;
    acc_3_3 += t_99 * t_95;
    let t_100 = t_57.w;
    acc_4_0 += t_100 * t_92;
    acc_4_1 += t_100 * t_93;
    acc_4_2 += t_100 * t_94;
    acc_4_3 += t_100 * t_95;
    let t_101 = t_60.w;
    acc_5_0 += t_101 * t_92;
    acc_5_1 += t_101 * t_93;
    acc_5_2 += t_101 * t_94;
    acc_5_3 += t_101 * t_95;
    let t_102 = t_63.w;
    acc_6_0 += t_102 * t_92;
    acc_6_1 += t_102 * t_93;
    acc_6_2 += t_102 * t_94;
    acc_6_3 += t_102 * t_95;
    let t_103 = t_66.w;
    acc_7_0 += t_103 * t_92;
    acc_7_1 += t_103 * t_93;
    acc_7_2 += t_103 * t_94;
    acc_7_3 += t_103 * t_95;
  }
  var tile = array<vec4<f32>, 32>(acc_0_0, acc_0_1, acc_0_2, acc_0_3, acc_1_0, acc_1_1, acc_1_2, acc_1_3, acc_2_0, acc_2_1, acc_2_2, acc_2_3, acc_3_0, acc_3_1, acc_3_2, acc_3_3, acc_4_0, acc_4_1, acc_4_2, acc_4_3, acc_5_0, acc_5_1, acc_5_2, acc_5_3, acc_6_0, acc_6_1, acc_6_2, acc_6_3, acc_7_0, acc_7_1, acc_7_2, acc_7_3);
  let i_104 = (vec4<i32>(n) + vec4<i32>(0, 1, 2, 3));
  let valid_105 = t_valid[i_2];
  let i_107 = batch * 1024 + m * 32 + n;
  for (var tile_row = 0; tile_row < 8; tile_row++) {
    let i_108 = i_107 + tile_row * 32;
    for (var tile_quad = 0; tile_quad < 4; tile_quad++) {
      let sum = tile[tile_row * 4 + tile_quad];
      let v_106 = select(vec4<f32>(-1000000f), (sum / vec4<f32>(5.656854152679443f)), ((i_104 + tile_quad * 4) < vec4<i32>(valid_105)));
      t_where[(i_108 + tile_quad * 4) >> 2u] = v_106;
    }
  }
}

// words
//   words: f32[32, 32, 64]  encoder  models/lib/bert.bert:18:17
@group(0) @binding(0) var<storage, read> t_tokens: array<i32>;  // i32[32, 32]
@group(0) @binding(1) var<storage, read> t_weight: array<f32>;  // f32[512, 64] encoder.token
@group(0) @binding(2) var<storage, read> t_segments: array<i32>;  // i32[32, 32]
@group(0) @binding(3) var<storage, read> t_weight_2: array<f32>;  // f32[2, 64] encoder.segment
@group(0) @binding(4) var<storage, read_write> t_words: array<vec4<f32>>;  // f32[32, 32, 64] encoder

@compute @workgroup_size(16)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) local_index: u32) {
  let workgroup = i32(group.x + group.y * groups.x);
  let local = i32(local_index);
  let invocation = workgroup * 16 + local;
  if (invocation >= 16384) { return; }
  let i = invocation * 4;
  let i_1 = (vec4<i32>(i) + vec4<i32>(0, 1, 2, 3));
  let i_2 = (i_1 & vec4<i32>(63));
  let i_3 = (i_1 >> vec4<u32>(6u));
  let tokens_4 = vec4<i32>(t_tokens[i_3.x], t_tokens[i_3.y], t_tokens[i_3.z], t_tokens[i_3.w]);
  let i_5 = (i_2 + tokens_4 * 64);
  let weight_6 = vec4<f32>(t_weight[i_5.x], t_weight[i_5.y], t_weight[i_5.z], t_weight[i_5.w]);
  let segments_7 = vec4<i32>(t_segments[i_3.x], t_segments[i_3.y], t_segments[i_3.z], t_segments[i_3.w]);
  let i_8 = (i_2 + segments_7 * 64);
  let weight_2_9 = vec4<f32>(t_weight_2[i_8.x], t_weight_2[i_8.y], t_weight_2[i_8.z], t_weight_2[i_8.w]);
  t_words[i >> 2u] = (weight_6 + weight_2_9);
}
