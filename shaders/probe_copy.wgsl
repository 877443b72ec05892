//! How fast does this adapter move numbers? Each is read once and written once.
//!
//!   y[i] = x[i]
//!
//! shapes    x, y [count] vec4
//! grid      one invocation per vec4, 64 to a workgroup, workgroups tiled over x and y
//! memory    none
//! numbers   a copy: every bit stays
//! defined   shaders/tests/probe.rs   launched from   crate/maetok/src/kernels/probe.rs
//! source    McCalpin 1995, "Memory bandwidth and machine balance" (STREAM copy)

struct Params { count: u32 }

@group(0) @binding(0) var<storage, read>       x:      array<vec4<u32>>;  // [count]
@group(0) @binding(1) var<storage, read_write> y:      array<vec4<u32>>;  // [count]
@group(0) @binding(2) var<storage, read>       params: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let id = (group.y * grid.x + group.x) * 64u + lane;
    if id >= params.count { return; }
    y[id] = x[id];
}
