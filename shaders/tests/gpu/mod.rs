//! Runs a kernel on this machine's adapter and compares numbers.
//!
//! Buffers are longer than asked for and poisoned: a fresh output is all NaN, and past the end of every buffer stands
//! more NaN, so that what a kernel leaves out, reads past the end or writes past the end is seen.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock};

use wgpu::util::DeviceExt as _;

/// A quiet NaN with a payload no arithmetic makes.
const POISON: u32 = 0x7fc0_dead;
/// Words of poison after the end of each buffer.
const TAIL: usize = 64;

/// An open device.
pub struct Gpu {
    device: wgpu::Device,
    queue: wgpu::Queue,
    /// By text: compiling takes longer than running.
    pipelines: Mutex<HashMap<String, wgpu::ComputePipeline>>,
    /// Adapter, driver and backend, for reports.
    pub label: String,
}

/// What a binding holds.
pub enum Slot<'a> {
    /// Read only.
    In(&'a [u32]),
    /// So many words to be written.
    Out(usize),
    /// Read and written.
    InOut(&'a [u32]),
}

/// The bits of floats.
pub fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// The device, or `None` after saying that the test is skipped. The same for all tests of a process.
///
/// # Panics
/// Without an adapter where `MAETOK_REQUIRE_GPU=1`.
pub fn gpu(test: &str) -> Option<&'static Gpu> {
    static GPU: OnceLock<Result<Gpu, String>> = OnceLock::new();
    match GPU.get_or_init(|| pollster::block_on(open())) {
        Ok(gpu) => {
            println!("{test}: executed on {}", gpu.label);
            Some(gpu)
        }
        Err(reason) => {
            let required = std::env::var("MAETOK_REQUIRE_GPU").is_ok_and(|value| value == "1");
            assert!(!required, "{test}: no GPU, but MAETOK_REQUIRE_GPU=1: {reason}");
            // Past the test harness's capture, so that a skip is seen in any log.
            use std::io::Write as _;
            let _ = writeln!(std::io::stderr(), "{test}: SKIPPED, no GPU: {reason}");
            None
        }
    }
}

async fn open() -> Result<Gpu, String> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapter = instance.request_adapter(&wgpu::RequestAdapterOptions::default()).await.map_err(|e| e.to_string())?;
    // WebGPU's default limits and no feature, whatever the adapter could do.
    let (device, queue) =
        adapter.request_device(&wgpu::DeviceDescriptor::default()).await.map_err(|e| e.to_string())?;
    let info = adapter.get_info();
    let label = format!("{} ({}, {:?})", info.name, info.driver_info, info.backend);
    Ok(Gpu { device, queue, pipelines: Mutex::default(), label })
}

impl Gpu {
    /// Runs `text` once with `slots` as bindings 0, 1, … and gives what `Out` and `InOut` hold afterwards, in order.
    ///
    /// The bind group layout is the automatic one, as in Burn's launcher.
    ///
    /// # Panics
    /// If the text does not make a pipeline, the bindings do not fit, or a word past the end of a buffer was written.
    pub fn run(&self, name: &str, text: &str, slots: &[Slot], grid: [u32; 3]) -> Vec<Vec<f32>> {
        let errors = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let pipeline = self.pipeline(name, text);
        let buffers: Vec<wgpu::Buffer> = slots.iter().map(|slot| self.buffer(slot)).collect();
        let entries: Vec<wgpu::BindGroupEntry> = buffers
            .iter()
            .enumerate()
            .map(|(index, buffer)| wgpu::BindGroupEntry { binding: index as u32, resource: buffer.as_entire_binding() })
            .collect();
        let group = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(name),
            layout: &pipeline.get_bind_group_layout(0),
            entries: &entries,
        });
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            pass.set_pipeline(&pipeline);
            pass.set_bind_group(0, &group, &[]);
            pass.dispatch_workgroups(grid[0], grid[1], grid[2]);
        }
        let mut reads = Vec::new();
        for (slot, buffer) in slots.iter().zip(&buffers) {
            let words = match slot {
                Slot::In(_) => continue,
                Slot::Out(words) => *words,
                Slot::InOut(values) => values.len(),
            };
            let read = self.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(name),
                size: buffer.size(),
                usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
                mapped_at_creation: false,
            });
            encoder.copy_buffer_to_buffer(buffer, 0, &read, 0, buffer.size());
            reads.push((read, words));
        }
        self.queue.submit([encoder.finish()]);
        if let Some(error) = pollster::block_on(errors.pop()) {
            panic!("{name} on {}: {error}", self.label);
        }
        for (read, _) in &reads {
            read.map_async(wgpu::MapMode::Read, .., |result| result.expect("a buffer can be read back"));
        }
        self.device.poll(wgpu::PollType::wait_indefinitely()).expect("the device answers");
        let result = |(read, words): &(wgpu::Buffer, usize)| {
            let bytes = read.get_mapped_range(..).expect("the buffer is mapped");
            let word = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().expect("four bytes"));
            let all: Vec<u32> = bytes.chunks_exact(4).map(word).collect();
            let tail = all[*words..].iter().position(|word| *word != POISON);
            assert_eq!(tail, None, "{name} wrote past the end of an output");
            all[..*words].iter().map(|word| f32::from_bits(*word)).collect()
        };
        reads.iter().map(result).collect()
    }

    fn pipeline(&self, name: &str, text: &str) -> wgpu::ComputePipeline {
        if let Some(pipeline) = self.pipelines.lock().expect("no test fails in here").get(text) {
            return pipeline.clone();
        }
        let module = self.device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(name),
            source: wgpu::ShaderSource::Wgsl(text.into()),
        });
        let pipeline = self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(name),
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                // As on native Burn: what is read before it is written must be seen to be wrong.
                zero_initialize_workgroup_memory: false,
                ..Default::default()
            },
            cache: None,
        });
        self.pipelines.lock().expect("no test fails in here").insert(text.to_owned(), pipeline.clone());
        pipeline
    }

    fn buffer(&self, slot: &Slot) -> wgpu::Buffer {
        let mut words = match slot {
            Slot::In(values) | Slot::InOut(values) => values.to_vec(),
            Slot::Out(words) => vec![POISON; *words],
        };
        words.resize(words.len() + TAIL, POISON);
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.device.create_buffer_init(&wgpu::util::BufferInitDescriptor {
            label: None,
            contents: &bytes,
            usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC,
        })
    }
}

/// Compares with the definition: each value within its own bound, NaN only where NaN is due, infinities equal.
///
/// # Panics
/// With one line: name, adapter, how many are off, the worst with its place, both values and its bound, root mean
/// square of the differences, counts of non-finite values.
pub fn assert_close(name: &str, gpu: &Gpu, got: &[f32], want: &[f64], bound: impl Fn(usize) -> f64) {
    assert_eq!(got.len(), want.len(), "{name}: number of values");
    let (mut worst, mut at, mut off, mut squares, mut finite) = (0.0_f64, 0, 0, 0.0, 0);
    for (index, (got, want)) in got.iter().zip(want).enumerate() {
        let difference = (f64::from(*got) - want).abs();
        let ratio = match (want.is_nan(), want.is_infinite()) {
            (true, _) => f64::from(u8::from(!got.is_nan())) * f64::INFINITY,
            (_, true) if f64::from(*got) == *want => 0.0,
            (_, true) => f64::INFINITY,
            _ if difference == 0.0 => 0.0,
            _ if difference.is_nan() => f64::INFINITY,
            _ => difference / bound(index),
        };
        // `INFINITY * 0` above is the NaN of a NaN that was due.
        let ratio = if ratio.is_nan() { 0.0 } else { ratio };
        if difference.is_finite() {
            squares += difference * difference;
            finite += 1;
        }
        off += usize::from(ratio > 1.0);
        if ratio > worst {
            (worst, at) = (ratio, index);
        }
    }
    let rms = (squares / f64::from(finite.max(1))).sqrt();
    let non_finite = |values: &mut dyn Iterator<Item = f64>| values.filter(|value| !value.is_finite()).count();
    let counts = (non_finite(&mut got.iter().map(|value| f64::from(*value))), non_finite(&mut want.iter().copied()));
    if got.is_empty() {
        return;
    }
    let line = format!(
        "{name} on {}: {off} of {} off; worst at {at}: {} for {}, {worst:.3} of its bound {:.2e}; RMS {rms:.2e}; \
         non-finite {} for {}",
        gpu.label,
        got.len(),
        got[at],
        want[at],
        bound(at),
        counts.0,
        counts.1,
    );
    assert!(off == 0, "{line}");
    println!("{line}");
}

/// Repeatable numbers, uniform in `[-1, 1)`.
pub fn noise(seed: u32, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9) ^ 0x85eb_ca6b;
    let mut next = || {
        // xorshift32
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count + 8).map(|_| next()).skip(8).collect()
}
