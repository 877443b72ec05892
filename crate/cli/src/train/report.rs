//! `maetok train report`: a run's curves and sample grids as one HTML file that needs nothing else.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clap::Args;
use maetok::Error;
use plotters::prelude::*;
use serde_json::Value;

use crate::files;

/// Grids shown: the last ones of a long run.
const GRIDS: usize = 6;
/// Size of a chart in pixels of its own drawing; the page scales it.
const CHART: (u32, u32) = (560, 300);
/// Curves with a logarithmic axis.
const LOGARITHMIC: [&str; 1] = ["lr"];

/// Flags of `train report`.
#[derive(Args, Debug)]
pub struct ReportArgs {
    /// Folder of the run, which may still go on.
    #[arg(value_name = "DIR")]
    run: PathBuf,
    /// The HTML file [default: report.html in the run's folder].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Values over updates, by the name they have in the log.
type Curves = BTreeMap<String, Vec<(f64, f64)>>;

/// Runs the command.
///
/// # Errors
/// If the folder holds no run, or the file cannot be written.
pub fn run(args: &ReportArgs) -> Result<()> {
    let out = args.out.clone().unwrap_or_else(|| args.run.join("report.html"));
    let html = report(&args.run)?;
    fs::write(&out, html).map_err(|e| Error::write(out.display(), e))?;
    files::say(&format!("{}", out.display()));
    Ok(())
}

fn report(run: &Path) -> Result<String> {
    let log = run.join("log.jsonl");
    let text =
        fs::read_to_string(&log).with_context(|| format!("The folder {} holds no training run", run.display()))?;
    let curves = curves(&text);
    if curves.is_empty() {
        bail!("The run in {} has not written anything yet.", run.display());
    }
    let name = escape(&run.file_name().map_or_else(|| run.display().to_string(), |n| n.to_string_lossy().into_owned()));
    let mut html = format!("{HEAD}<title>{name}</title></head><body><h1>{name}</h1>{}", summary(&curves));
    html.push_str("<section>");
    for (title, points) in &curves {
        let svg = chart(title, points).with_context(|| format!("The curve of {title} cannot be drawn"))?;
        write!(html, "<figure>{svg}<figcaption>{}</figcaption></figure>", escape(title))?;
    }
    html.push_str("</section>");
    for (title, png) in grids(&run.join("samples"))? {
        let data = BASE64_STANDARD.encode(png);
        write!(html, "<h2>{title}</h2><img alt=\"Sample grid, {title}\" src=\"data:image/png;base64,{data}\">")?;
    }
    for file in ["run.json", "config.json"] {
        if let Ok(text) = fs::read_to_string(run.join(file)) {
            write!(html, "<details><summary>{file}</summary><pre>{}</pre></details>", escape(&text))?;
        }
    }
    html.push_str("</body></html>\n");
    Ok(html)
}

/// Every number of the log but the step. A line that is not whole, as the last one may be, is left out.
fn curves(log: &str) -> Curves {
    let mut curves = Curves::new();
    for line in log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let (Some(step), Some(fields)) = (line["step"].as_f64(), line.as_object()) else { continue };
        for (name, value) in fields.iter().filter(|(name, _)| !matches!(name.as_str(), "step" | "pictures")) {
            if let Some(value) = value.as_f64() {
                curves.entry(name.clone()).or_default().push((step, value));
            }
        }
    }
    curves
}

fn summary(curves: &Curves) -> String {
    let last = |name: &str| curves.get(name).and_then(|points| points.last()).copied();
    let mut said = Vec::new();
    if let Some((step, seconds)) = last("seconds") {
        said.push(format!("{step} updates in {:.0} minutes of training", seconds / 60.0));
    }
    if let Some((_, loss)) = last("loss") {
        said.push(format!("loss {loss:.4}"));
    }
    if let Some((_, psnr)) = last("psnr") {
        said.push(format!("held-out PSNR {psnr:.2} dB"));
    }
    if let Some((_, loss)) = last("held_out_loss") {
        said.push(format!("held-out loss {loss:.4}"));
    }
    format!("<p>{}</p>", escape(&said.join("; ")))
}

fn chart(title: &str, points: &[(f64, f64)]) -> Result<String> {
    let logarithmic = LOGARITHMIC.contains(&title) && points.iter().all(|(_, y)| *y > 0.0);
    let shown = |y: f64| if logarithmic { y.log10() } else { y };
    let finite = || points.iter().map(|(x, y)| (*x, shown(*y))).filter(|(_, y)| y.is_finite());
    let bounds = |of: fn((f64, f64)) -> f64| {
        let (low, high) = finite().map(of).fold((f64::MAX, f64::MIN), |(low, high), v| (low.min(v), high.max(v)));
        // A flat curve has no height of its own.
        if low < high { low..high } else { low - 0.5..low + 0.5 }
    };
    if finite().next().is_none() {
        return Ok(String::new());
    }
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, CHART).into_drawing_area();
        let mut axes = ChartBuilder::on(&area)
            .margin(8)
            .x_label_area_size(28)
            .y_label_area_size(56)
            .build_cartesian_2d(bounds(|(x, _)| x), bounds(|(_, y)| y))?;
        let label = |y: &f64| if logarithmic { format!("{:.0e}", 10f64.powf(*y)) } else { short(*y) };
        axes.configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(RGBColor(128, 128, 128).mix(0.25))
            .axis_style(RGBColor(128, 128, 128))
            .label_style(("sans-serif", 12, &RGBColor(128, 128, 128)))
            .x_label_formatter(&|x| short(*x))
            .y_label_formatter(&label)
            .draw()?;
        axes.draw_series(LineSeries::new(finite(), RGBColor(60, 74, 224).stroke_width(2)))?;
        area.present()?;
    }
    Ok(svg)
}

/// Four digits at most.
fn short(value: f64) -> String {
    match value.abs() {
        v if v >= 10_000.0 => format!("{:.0} k", value / 1000.0),
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 1.0 => format!("{value:.2}"),
        v if v >= 0.001 || v == 0.0 => format!("{value:.4}"),
        _ => format!("{value:.1e}"),
    }
}

/// The last sample grids with their names, oldest first.
fn grids(folder: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let mut files: Vec<PathBuf> = match fs::read_dir(folder) {
        Ok(entries) => entries.filter_map(|entry| Some(entry.ok()?.path())).collect(),
        Err(_) => Vec::new(),
    };
    files.retain(|path| path.extension().is_some_and(|extension| extension == "png"));
    files.sort();
    let shown = files.split_off(files.len().saturating_sub(GRIDS));
    let read = |path: PathBuf| {
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        Ok((escape(&name), fs::read(&path).map_err(|e| Error::read(path.display(), e))?))
    };
    shown.into_iter().map(read).collect()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

const HEAD: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
<meta name=\"viewport\" content=\"width=device-width\"><style>\
:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}body{max-width:76rem;margin:2rem auto;padding:0 1rem}\
section{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,22rem),1fr));gap:1rem}\
figure{margin:0}svg,img{max-width:100%;height:auto}svg rect:first-child{fill:none}figcaption{text-align:center}\
img{image-rendering:pixelated}pre{overflow:auto}</style>";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_becomes_one_file_with_its_curves_and_grids() {
        let dir = tempfile::tempdir().unwrap();
        let log = "{\"step\":1,\"loss\":2.0,\"lr\":0.001}\n{\"step\":2,\"loss\":1.5,\"lr\":0.0005}\n{\"step\":2,\"psnr\":17.25,\"pictures\":8}\n{\"st";
        fs::write(dir.path().join("log.jsonl"), log).unwrap();
        fs::write(dir.path().join("run.json"), "{\"data\": \"<pictures>\"}").unwrap();
        fs::create_dir(dir.path().join("samples")).unwrap();
        fs::write(dir.path().join("samples/step-00000002.png"), [1, 2, 3]).unwrap();
        let html = report(dir.path()).unwrap();
        assert_eq!(html.matches("<svg").count(), 3, "loss, lr and psnr");
        assert!(html.contains("held-out PSNR 17.25 dB") && html.contains("base64,AQID"));
        assert!(html.contains("&lt;pictures&gt;") && !html.contains("<pictures>"));
        assert!(!html.contains("http:") || html.matches("http:").count() == html.matches("http://www.w3.org").count());
    }

    #[test]
    fn a_folder_without_a_run_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let message = report(dir.path()).unwrap_err().to_string();
        assert!(message.contains(&dir.path().display().to_string()), "{message}");
    }

    #[test]
    fn flat_and_broken_curves_are_drawn() {
        assert!(chart("loss", &[(1.0, 0.5), (2.0, 0.5)]).unwrap().contains("<svg"));
        assert!(chart("loss", &[(1.0, f64::NAN)]).unwrap().is_empty());
    }
}
