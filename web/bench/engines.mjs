/** What runs in the browser: one engine, one model, its figures. See `browsers.mjs`. */

const now = () => performance.now() / 1000;

/** `{ device, cold, figures }`; `cold` is the time from the first byte asked for to the first result, in seconds. */
export async function measure(asked) {
  return asked.engine.startsWith("ort-") ? await onnxruntime(asked) : await ours(asked);
}

async function ours({ engine, model, runs, atLeast, layers }) {
  const start = now();
  const { default: init, Engine } = await import("/pkg/maetok_web.js");
  await init({ module_or_path: fetch("/pkg/maetok_web_bg.wasm") });
  const opened = await Engine.create(engine === "cpu" ? "cpu" : "webgpu", undefined, []);
  const route = engine === "plain" ? "plain" : "by-adapter";
  const device = JSON.parse(opened.device());
  if (model === null) {
    const request = { runs, at_least: atLeast, route, roofs: engine === "webgpu", layers };
    return { device, figures: JSON.parse(await opened.bench(JSON.stringify(request), now)) };
  }
  const manifest = await (await fetch(`/models/${model}/manifest.json`)).text();
  const { tokenizer, generator } = JSON.parse(manifest);
  const parts = [tokenizer, generator].flatMap((part) => [part.config, ...part.weights]);
  const paths = [...parts];
  const bytes = await Promise.all(paths.map(async (path) => new Uint8Array(await (await fetch(`/models/${model}/${path}`)).arrayBuffer())));
  opened.load(manifest, paths, bytes);
  const run = opened.start(JSON.stringify({ class: 0, steps: 1 }));
  await opened.step(run);
  await opened.finish(run);
  // With Burn's kernels it would be a start of ours all the same: the first picture does not ask.
  const cold = engine === "plain" ? null : now() - start;
  const figures = JSON.parse(await opened.bench(JSON.stringify({ runs, at_least: atLeast, route, model: true }), now));
  return { device, cold, figures };
}

const STAGES = { encoder: "encode", decoder: "decode", step: "step" };

async function onnxruntime({ engine, model, runs, atLeast }) {
  const start = now();
  const webgpu = engine === "ort-webgpu";
  const ort = await import(webgpu ? "/ort/ort.webgpu.min.mjs" : "/ort/ort.wasm.min.mjs");
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = "/ort/";
  const open = async (stage) => {
    const session = await ort.InferenceSession.create(`/onnx/${model}/${stage}.onnx`, {
      executionProviders: [webgpu ? "webgpu" : "wasm"],
      graphOptimizationLevel: "all",
    });
    const feeds = Object.fromEntries(session.inputMetadata.map(({ name, shape }) => [name, input(ort, name, shape)]));
    const work = async () => {
      const result = await session.run(feeds);
      await Object.values(result)[0].getData();
    };
    await work();
    return { session, work };
  };
  // As ours: a step and the decoder.
  const first = { step: await open("step"), decoder: await open("decoder") };
  const cold = now() - start;
  const figures = [];
  for (const [stage, name] of Object.entries(STAGES)) {
    const { session, work } = first[stage] ?? (await open(stage));
    figures.push({ name, seconds: await timed(work, runs, atLeast), flop: 0, bytes: 0, dispatches: 0 });
    await session.release();
  }
  return { device: { kind: engine, name: `onnxruntime-web ${ort.env.versions.web}` }, cold, figures };
}

function input(ort, name, shape) {
  const length = shape.reduce((a, b) => a * b, 1);
  const value = { t: () => 0.5, y: () => 0 }[name] ?? ((i) => Math.sin(i * 12.9898) * 1.7);
  return new ort.Tensor("float32", Float32Array.from({ length }, (_, i) => value(i)), shape);
}

/** Seconds of one repetition, `runs` times, each `atLeast` seconds long; as `maetok::bench::time`. */
async function timed(work, runs, atLeast) {
  const first = now();
  await work();
  const once = now() - first;
  const repeats = once > 0 ? Math.min(10000, Math.max(1, Math.ceil(atLeast / once))) : 1000;
  const seconds = [];
  for (let run = 0; run < runs; run++) {
    const start = now();
    for (let i = 0; i < repeats; i++) await work();
    seconds.push((now() - start) / repeats);
  }
  return seconds;
}
