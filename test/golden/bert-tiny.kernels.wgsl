no max_shifted_sum_weights
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
    let v_14 = (v_10 * v_13);
    t_mul[i_8 >> 2u] = v_14;
    let gamma_15 = t_gamma[i >> 2u];
    let beta_16 = t_beta[i >> 2u];
    t_attended[i_8 >> 2u] = ((v_14 * gamma_15) + beta_16);
  }
  t_mean[row] = sum0;
  t_rsqrt[row] = v_13;
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
