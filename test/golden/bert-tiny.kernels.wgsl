no max_shifted_sum_weights
// mean_variance_rsqrt_attended
//   mean: f32[32, 32]  encoder.blocks.0.attention_norm  models/lib/layers.bert:37:24
//   variance: f32[32, 32]  encoder.blocks.0.attention_norm  models/lib/layers.bert:38:20
//   rsqrt: f32[32, 32]  encoder.blocks.0.attention_norm  models/lib/layers.bert:39:23
//   attended: f32[32, 32, 64]  encoder.blocks.0.attention_norm  models/lib/layers.bert:39:12
@group(0) @binding(0) var<storage, read_write> t_add: array<vec4<f32>>;  // f32[32, 32, 64] encoder.blocks.0
@group(0) @binding(1) var<storage, read> t_gamma: array<vec4<f32>>;  // f32[64] encoder.blocks.0.attention_norm
@group(0) @binding(2) var<storage, read> t_beta: array<vec4<f32>>;  // f32[64] encoder.blocks.0.attention_norm
@group(0) @binding(3) var<storage, read_write> t_attended: array<vec4<f32>>;  // f32[32, 32, 64] encoder.blocks.0.attention_norm
@group(0) @binding(4) var<storage, read_write> t_mean: array<f32>;  // f32[32, 32] encoder.blocks.0.attention_norm
@group(0) @binding(5) var<storage, read_write> t_rsqrt: array<f32>;  // f32[32, 32] encoder.blocks.0.attention_norm

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
  let part_sum0_all = (part_sum0.x + part_sum0.y) + (part_sum0.z + part_sum0.w);
  let sum0 = part_sum0_all;
  var part_sum1 = vec4<f32>(0f);
  let v_6 = (sum0 * 0.015625f);
  for (var i = 0; i < 64; i += 4) {
    let i_4 = (i_1 + i);
    let add_5 = t_add[i_4 >> 2u];
    let v_7 = (add_5 - v_6);
    part_sum1 = part_sum1 + (v_7 * v_7);
  }
  let part_sum1_all = (part_sum1.x + part_sum1.y) + (part_sum1.z + part_sum1.w);
  let sum1 = part_sum1_all;
  let v_11 = (sum1 * 0.015625f);
  let v_12 = (v_11 + 0.000009999999747378752f);
  let v_13 = inverseSqrt(v_12);
  for (var i = 0; i < 64; i += 4) {
    let i_8 = (i_1 + i);
    let add_9 = t_add[i_8 >> 2u];
    let v_10 = (add_9 - v_6);
    let gamma_14 = t_gamma[i >> 2u];
    let beta_15 = t_beta[i >> 2u];
    t_attended[i_8 >> 2u] = (((v_10 * v_13) * gamma_14) + beta_15);
  }
  t_mean[row] = sum0;
  t_rsqrt[row] = v_13;
}

// d_mul_d_centered_d_encoded_d_feed_forward_d_drop
//   d_mul: f32[32, 32, 64]  encoder.blocks.1.output_norm  models/lib/layers.bert:39:12
//   d_mul: f32[32, 32]  encoder.blocks.1.output_norm  models/lib/layers.bert:39:12
//   d_rsqrt: f32[32, 32]  encoder.blocks.1.output_norm  models/lib/layers.bert:39:23
//   d_mul: f32[32, 32, 64]  encoder.blocks.1.output_norm  models/lib/layers.bert:38:25
//   d_mul: f32[32, 32, 64]  encoder.blocks.1.output_norm  models/lib/layers.bert:38:25
//   d_mul: f32[32, 32, 64]  encoder.blocks.1.output_norm  models/lib/layers.bert:38:25
//   d_centered: f32[32, 32]  encoder.blocks.1.output_norm  models/lib/layers.bert:37:20
//   d_encoded: f32[64, 64]  encoder.blocks.1.output_norm  models/lib/layers.bert:39:12
//   d_mul: f32[64, 64]  encoder.blocks.1.output_norm  models/lib/layers.bert:39:12
//   d_feed_forward: f32[64, 64]  encoder.blocks.1.feed_forward.outer  models/lib/layers.bert:14:65
//   d_drop: f32[32, 32, 64]  encoder.blocks.1  models/lib/transformer.bert:20:35
@group(0) @binding(0) var<storage, read_write> t_d_matmul: array<vec4<f32>>;  // f32[32, 64] pooler.dense
@group(0) @binding(1) var<storage, read_write> t_d_gather: array<vec4<f32>>;  // f32[1024, 64] masked_lm
@group(0) @binding(2) var<storage, read> t_gamma: array<vec4<f32>>;  // f32[64] encoder.blocks.1.output_norm
@group(0) @binding(3) var<storage, read_write> t_add: array<vec4<f32>>;  // f32[32, 32, 64] encoder.blocks.1
@group(0) @binding(4) var<storage, read_write> t_mean: array<f32>;  // f32[32, 32] encoder.blocks.1.output_norm
@group(0) @binding(5) var<storage, read_write> t_rsqrt: array<f32>;  // f32[32, 32] encoder.blocks.1.output_norm
@group(0) @binding(6) var<storage, read_write> t_drop: array<u32>;  // u32[] encoder.blocks.1
@group(0) @binding(7) var<storage, read_write> t_d_encoded: array<vec4<f32>>;  // f32[192, 64] encoder.blocks.1.output_norm
@group(0) @binding(8) var<storage, read_write> t_d_mul: array<vec4<f32>>;  // f32[32, 32, 64] encoder.blocks.1.output_norm
@group(0) @binding(9) var<storage, read_write> t_d_centered: array<f32>;  // f32[32, 32] encoder.blocks.1.output_norm

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
  if (invocation >= 64) { return; }
  let block = invocation;
  let i_1 = block * 64;
  for (var i = 0; i < 64; i += 4) {
    t_d_encoded[(i_1 + i) >> 2u] = vec4<f32>(0f);
    t_d_encoded[(i_1 + i + 4096) >> 2u] = vec4<f32>(0f);
    t_d_encoded[(i_1 + i + 8192) >> 2u] = vec4<f32>(0f);
  }
  let end = min(block * 16 + 16, 1024);
  let drop_33 = t_drop[0];
  for (var row = block * 16; row < end; row++) {
    var part_sum0 = vec4<f32>(0f);
    let i_2 = (row & 31);
    let v_3 = (i_2 < 1);
    let i_4 = (row >> 5u);
    let i_5 = i_4 * 64;
    let i_7 = row * 64;
    let mean_14 = t_mean[row];
    let v_15 = (mean_14 * 0.015625f);
    let rsqrt_17 = t_rsqrt[row];
    for (var i = 0; i < 64; i += 4) {
      let d_matmul_6 = t_d_matmul[(i_5 + i) >> 2u];
      let i_8 = (i_7 + i);
      let d_gather_9 = t_d_gather[i_8 >> 2u];
      let v_10 = (select(vec4<f32>(0f), d_matmul_6, vec4<bool>(v_3)) + d_gather_9);
      let gamma_11 = t_gamma[i >> 2u];
      let v_12 = (v_10 * gamma_11);
      let add_13 = t_add[i_8 >> 2u];
      let v_16 = (add_13 - v_15);
      part_sum0 = part_sum0 + (v_12 * v_16);
      t_d_encoded[(i_1 + i) >> 2u] += v_10;
      t_d_encoded[(i_1 + i + 4096) >> 2u] += (v_10 * (v_16 * rsqrt_17));
    }
    let part_sum0_all = (part_sum0.x + part_sum0.y) + (part_sum0.z + part_sum0.w);
    let sum0 = part_sum0_all;
    var part_sum1 = vec4<f32>(0f);
    let v_24 = (sum0 * -0.5f);
    let v_25 = (rsqrt_17 * rsqrt_17);
    let v_26 = (rsqrt_17 * v_25);
    let v_27 = (v_24 * v_26);
    let v_28 = (v_27 * 0.015625f);
    for (var i = 0; i < 64; i += 4) {
      let d_matmul_18 = t_d_matmul[(i_5 + i) >> 2u];
      let i_19 = (i_7 + i);
      let d_gather_20 = t_d_gather[i_19 >> 2u];
      let v_21 = (select(vec4<f32>(0f), d_matmul_18, vec4<bool>(v_3)) + d_gather_20);
      let gamma_22 = t_gamma[i >> 2u];
      let v_23 = (v_21 * gamma_22);
      let add_29 = t_add[i_19 >> 2u];
      let v_30 = (add_29 - v_15);
      let v_31 = (v_28 * v_30);
      let v_32 = (((v_23 * rsqrt_17) + v_31) + v_31);
      part_sum1 = part_sum1 + v_32;
      t_d_mul[i_19 >> 2u] = v_32;
    }
    let part_sum1_all = (part_sum1.x + part_sum1.y) + (part_sum1.z + part_sum1.w);
    let sum1 = part_sum1_all;
    let v_46 = (sum1 * -0.015625f);
    for (var i = 0; i < 64; i += 4) {
      let i_34 = (vec4<i32>(i) + vec4<i32>(0, 1, 2, 3));
      let i_35 = (i_7 + i_34);
      let d_matmul_36 = t_d_matmul[(i_5 + i) >> 2u];
      let i_37 = (i_7 + i);
      let d_gather_38 = t_d_gather[i_37 >> 2u];
      let v_39 = (select(vec4<f32>(0f), d_matmul_36, vec4<bool>(v_3)) + d_gather_38);
      let gamma_40 = t_gamma[i >> 2u];
      let v_41 = (v_39 * gamma_40);
      let add_42 = t_add[i_37 >> 2u];
      let v_43 = (add_42 - v_15);
      let v_44 = (v_28 * v_43);
      let v_45 = (((v_41 * rsqrt_17) + v_44) + v_44);
      let v_47 = select(vec4<f32>(0f), (v_45 + v_46), (uniform01_4(vec4<u32>(drop_33), i_35) < vec4<f32>(0.8999999761581421f)));
      t_d_encoded[(i_1 + i + 8192) >> 2u] += v_47;
      t_d_gather[i_37 >> 2u] = (v_47 * 1.1111111640930176f);
    }
    t_d_centered[row] = sum1;
  }
}

no einsum_where
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
  let i_5 = (i_2 + min(max(tokens_4, vec4<i32>(0)), vec4<i32>(511)) * 64);
  let weight_6 = vec4<f32>(t_weight[i_5.x], t_weight[i_5.y], t_weight[i_5.z], t_weight[i_5.w]);
  let segments_7 = vec4<i32>(t_segments[i_3.x], t_segments[i_3.y], t_segments[i_3.z], t_segments[i_3.w]);
  let i_8 = (i_2 + min(max(segments_7, vec4<i32>(0)), vec4<i32>(1)) * 64);
  let weight_2_9 = vec4<f32>(t_weight_2[i_8.x], t_weight_2[i_8.y], t_weight_2[i_8.z], t_weight_2[i_8.w]);
  t_words[i >> 2u] = (weight_6 + weight_2_9);
}
