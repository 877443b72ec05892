//! The page of a report.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::chart::chart;
use super::overview::overview;
use super::runs::Run;

/// The fill of a run's dots, by which the page's rules know it; as in `chart.rs`.
const KEYS: [&str; 6] = ["#3C4AE0", "#C85000", "#00825A", "#AA2896", "#786E00", "#0078AA"];
/// What people want to see first, and what last, by the names of the log.
const FIRST: [&str; 4] = ["psnr", "held_out_loss", "loss", "mse"];
const LAST: [&str; 4] = ["grad_norm", "lr", "images_per_second", "seconds"];
/// Names of the log in words.
const WORDS: [(&str, &str); 11] = [
    ("psnr", "Held-out PSNR, dB"),
    ("psnr_by_group", "Held-out PSNR by group, dB"),
    ("psnr_by_class", "Held-out PSNR by class, dB"),
    ("held_out_loss", "Held-out loss"),
    ("loss", "Loss, all parts together"),
    ("mse", "Squared error of pixels"),
    ("hog", "Loss of HOG features"),
    ("grad_norm", "Norm of the gradient"),
    ("lr", "Learning rate"),
    ("images_per_second", "Pictures per second"),
    ("seconds", "Seconds of training"),
];
/// Writes the page.
///
/// # Errors
/// If a curve cannot be drawn.
pub fn page(runs: &[Run]) -> Result<String> {
    let names: Vec<String> = runs.iter().map(|run| escape(&run.name)).collect();
    let title = names.join(" · ");
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title}</title><style>{}</style></head><body><h1>{title}</h1>",
        include_str!("report.css")
    );
    overview(&mut html, runs)?;
    notices(&mut html, runs)?;
    html += "<h2>Curves</h2><p class=\"note\">Over updates.</p>";
    key(&mut html, runs)?;
    curves(&mut html, runs)?;
    tables(&mut html, runs)?;
    samples(&mut html, runs)?;
    settings(&mut html, runs)?;
    html += "</body></html>\n";
    Ok(html)
}

/// The names of the runs over their columns, where there are several.
pub fn heads(html: &mut String, runs: &[Run]) {
    if runs.len() > 1 {
        let cells: String = runs.iter().map(|run| format!("<th scope=\"col\">{}</th>", escape(&run.name))).collect();
        *html += &format!("<thead><tr><td></td>{cells}</tr></thead>");
    }
}

/// A row of a table: a name and what belongs to it.
pub fn row<'a>(html: &mut String, name: &str, cells: impl Iterator<Item = &'a str>) -> Result<()> {
    write!(html, "<tr><th scope=\"row\">{}</th>", escape(name))?;
    for cell in cells {
        write!(html, "<td>{}</td>", escape(cell).replace('\n', "<br>"))?;
    }
    *html += "</tr>";
    Ok(())
}

fn notices(html: &mut String, runs: &[Run]) -> Result<()> {
    let mut told = Vec::new();
    for run in runs {
        for notice in run.starts.last().into_iter().flat_map(|start| &start.notices) {
            let of = if runs.len() > 1 { format!("{}: ", run.name) } else { String::new() };
            told.push(format!("{of}{notice}"));
        }
    }
    if told.is_empty() {
        return Ok(());
    }
    *html += "<h2>Notices</h2><ul class=\"notices\">";
    for notice in told {
        write!(html, "<li>{}</li>", escape(&notice))?;
    }
    *html += "</ul>";
    Ok(())
}

/// Which line is which run, where there are several.
fn key(html: &mut String, runs: &[Run]) -> Result<()> {
    if runs.len() < 2 {
        return Ok(());
    }
    *html += "<p>";
    for (run, colour) in runs.iter().zip(KEYS) {
        write!(
            html,
            "<svg class=\"key\" viewBox=\"0 0 36 8\" aria-hidden=\"true\"><path d=\"M0 4h36\" fill=\"none\" \
             stroke-width=\"3\" stroke=\"{colour}\"/></svg> {} &emsp;",
            escape(&run.name)
        )?;
    }
    *html += "</p>";
    Ok(())
}

fn curves(html: &mut String, runs: &[Run]) -> Result<()> {
    let names: BTreeSet<&str> = runs.iter().flat_map(|run| run.curves.keys().map(String::as_str)).collect();
    let rank = |name: &str| {
        let base = name.split(": ").next().unwrap_or(name);
        let first = FIRST.iter().position(|known| *known == base || base == "psnr_by_group" && *known == "psnr");
        let last = LAST.iter().position(|known| *known == base);
        first.or(last.map(|at| 100 + at)).unwrap_or(50)
    };
    let mut names: Vec<&str> = names.into_iter().collect();
    names.sort_by_key(|name| (rank(name), *name));
    *html += "<div class=\"curves\">";
    for name in names {
        let series: Vec<&[(f64, f64)]> =
            runs.iter().map(|run| run.curves.get(name).map_or(&[][..], Vec::as_slice)).collect();
        let drawn =
            chart(&series, name == "seconds").with_context(|| format!("The curve of {name} cannot be drawn"))?;
        let Some(svg) = drawn else { continue };
        let words = in_words(name);
        let svg = svg.replacen("<svg ", &format!("<svg role=\"img\" aria-label=\"{}\" ", escape(&words)), 1);
        write!(html, "<figure><figcaption>{}</figcaption>{svg}</figure>", escape(&words))?;
    }
    *html += "</div>";
    Ok(())
}

fn tables(html: &mut String, runs: &[Run]) -> Result<()> {
    let names: BTreeSet<&String> = runs.iter().flat_map(|run| run.tables.keys()).collect();
    for name in names {
        let known: Vec<(&Run, &(u64, _))> = runs.iter().filter_map(|run| Some((run, run.tables.get(name)?))).collect();
        let steps: BTreeSet<u64> = known.iter().map(|(_, (step, _))| *step).collect();
        let steps: Vec<String> = steps.iter().map(u64::to_string).collect();
        write!(html, "<h2>{}, step {}</h2>", escape(&in_words(name)), steps.join(" and "))?;
        if let [(_, (_, values))] = known.as_slice() {
            let values: &std::collections::BTreeMap<String, f64> = values;
            *html += "<div class=\"columns\">";
            for (key, value) in values {
                write!(html, "<div><span>{}</span><span>{value:.2}</span></div>", escape(key))?;
            }
            *html += "</div>";
            continue;
        }
        *html += "<div class=\"scroll\" tabindex=\"0\"><table>";
        heads(html, runs);
        *html += "<tbody>";
        let keys: BTreeSet<&String> =
            runs.iter().filter_map(|run| run.tables.get(name)).flat_map(|(_, t)| t.keys()).collect();
        for key in keys {
            let value = |run: &Run| Some(format!("{:.2}", run.tables.get(name)?.1.get(key)?));
            let values: Vec<String> = runs.iter().map(|run| value(run).unwrap_or_else(|| "–".into())).collect();
            row(html, key, values.iter().map(String::as_str))?;
        }
        *html += "</tbody></table></div>";
    }
    Ok(())
}

fn samples(html: &mut String, runs: &[Run]) -> Result<()> {
    if runs.iter().all(|run| run.grids.is_empty()) {
        return Ok(());
    }
    *html += "<h2>Samples</h2>";
    for run in runs.iter().filter(|run| !run.grids.is_empty()) {
        if runs.len() > 1 {
            write!(html, "<h3>{}</h3>", escape(&run.name))?;
        }
        let what = if run.classes.is_empty() {
            "Held-out pictures, each with its reconstruction to the right of it.".to_owned()
        } else {
            format!("Two samples of each class, always from the same noise: {}.", run.classes.join(", "))
        };
        write!(html, "<p class=\"note\">{}</p><div class=\"grids\">", escape(&what))?;
        for (name, png) in &run.grids {
            let (name, data) = (escape(name), BASE64_STANDARD.encode(png));
            let alt = format!("Samples of {}, {name}", escape(&run.name));
            write!(
                html,
                "<figure><figcaption>{name}</figcaption><img alt=\"{alt}\" src=\"data:image/png;base64,{data}\"></figure>"
            )?;
        }
        *html += "</div>";
    }
    Ok(())
}

/// All settings; of several runs, those that differ first and in sight.
fn settings(html: &mut String, runs: &[Run]) -> Result<()> {
    let names: BTreeSet<&String> = runs.iter().flat_map(|run| run.settings.keys()).collect();
    let values = |name: &str| runs.iter().map(|run| run.setting(name).unwrap_or("–")).collect::<Vec<_>>();
    let differs = |name: &&&String| values(name).windows(2).any(|pair| pair[0] != pair[1]);
    let (differing, same): (Vec<&String>, Vec<&String>) = names.iter().partition(|name| differs(name));
    *html += "<h2>Settings</h2>";
    let table = |html: &mut String, names: &[&String]| -> Result<()> {
        *html += "<div class=\"scroll\" tabindex=\"0\"><table>";
        heads(html, runs);
        *html += "<tbody>";
        for name in names {
            row(html, name, values(name).into_iter())?;
        }
        *html += "</tbody></table></div>";
        Ok(())
    };
    if !differing.is_empty() {
        *html += "<h3>What differs</h3>";
        table(html, &differing)?;
    }
    if !same.is_empty() {
        let summary = if runs.len() > 1 { "What all have in common" } else { "run.json and config.json" };
        write!(html, "<details><summary>{summary}</summary>")?;
        table(html, &same)?;
        *html += "</details>";
    }
    Ok(())
}

/// A name of the log for people.
fn in_words(name: &str) -> String {
    let (base, part) = name.split_once(": ").map_or((name, None), |(base, part)| (base, Some(part)));
    let known = WORDS.iter().find(|(known, _)| *known == base).map(|(_, words)| *words);
    match (known, part) {
        (Some("Held-out PSNR by group, dB"), Some(part)) => format!("Held-out PSNR of {part}, dB"),
        (Some(words), None) => words.to_owned(),
        _ => name.replace('_', " "),
    }
}

/// Text as HTML.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use maetok::train::provenance::Start;
    use maetok::train::run_folder::RunFolder;

    use super::*;

    /// A run that was killed: half a line at the end of its log, and updates after its checkpoint.
    fn killed(dir: &Path, seed: u64) -> Run {
        let log = "{\"step\":1,\"loss\":2.0,\"lr\":0.001,\"seconds\":1}\n{\"step\":2,\"loss\":1.5,\"lr\":0.0005,\"seconds\":2}\n\
            {\"step\":2,\"psnr\":17.25,\"pictures\":8,\"psnr_by_group\":{\"A<B\":17.25}}\n{\"st";
        let about = format!(
            "{{\"data\":\"<pictures>\",\"seed\":{seed},\"pace\":{{\"steps\":9}},\"starts\":[{{\"step\":0,\"device\":\"CPU\",\
             \"notices\":[\"left out a & b\"]}}]}}"
        );
        let folder = RunFolder::open(dir, false).unwrap();
        folder.save(1, &[]).unwrap();
        fs::write(dir.join("log.jsonl"), log).unwrap();
        fs::write(dir.join("run.json"), about).unwrap();
        fs::write(dir.join("samples/step-00000002.png"), [1, 2, 3]).unwrap();
        Run::read(dir).unwrap()
    }

    #[test]
    fn a_killed_run_becomes_one_file_with_all_there_is() {
        let dir = tempfile::tempdir().unwrap();
        killed(dir.path(), 7);
        let running = RunFolder::open(dir.path(), true).unwrap();
        assert!(page(&[Run::read(dir.path()).unwrap()]).unwrap().contains("goes on; newest checkpoint of step 1"));
        drop(running);
        let html = page(&[Run::read(dir.path()).unwrap()]).unwrap();
        assert_eq!(html.matches("<figcaption>").count(), 6, "loss, lr, seconds, psnr, its group, and a grid");
        for part in [
            "killed after step 2; the checkpoint is of step 1, resuming repeats 1 updates",
            "17.25 dB",
            "base64,AQID",
            "Held-out PSNR of A&lt;B, dB",
            "&lt;pictures&gt;",
            "left out a &amp; b",
            "<th scope=\"row\">Seed</th><td>7</td>",
            "<th scope=\"row\">pace.steps</th><td>9</td>",
        ] {
            assert!(html.contains(part), "{part} is missing in {html}");
        }
        assert!(!html.contains("<pictures>"));
        let names_of_xml = html.matches("http://www.w3.org/2000/svg").count();
        assert_eq!(html.matches("http").count(), names_of_xml, "needs nothing from elsewhere");
    }

    #[test]
    fn runs_are_drawn_into_one_another_and_what_differs_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let runs = [killed(&dir.path().join("one"), 1), killed(&dir.path().join("two"), 2)];
        let html = page(&runs).unwrap();
        let figures: Vec<&str> = html.split("<figure>").filter(|part| part.contains("<polyline")).collect();
        let both = |figure: &&str| KEYS[..2].iter().all(|colour| figure.contains(colour));
        assert!(!figures.is_empty() && figures.iter().all(both));
        let differing = html.split("What differs").nth(1).unwrap().split("</table>").next().unwrap();
        assert!(differing.contains("<th scope=\"row\">seed</th><td>1</td><td>2</td>"), "{differing}");
        assert!(!differing.contains("pace.steps"));
        assert!(html.contains("one: left out a &amp; b"));
    }

    #[test]
    fn of_many_starts_the_first_and_the_last_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let mut run = killed(dir.path(), 7);
        run.starts = (0..20).map(|step| Start { step, ..Start::default() }).collect();
        let html = page(&[run]).unwrap();
        let told = html.split("Started").nth(1).unwrap().split("</td>").next().unwrap().to_owned();
        let steps: Vec<&str> = told.split("step ").skip(1).filter_map(|part| part.split(':').next()).collect();
        assert_eq!(steps, ["0", "16", "17", "18", "19"]);
        assert!(told.contains("… 15 more …"), "{told}");
    }

    #[test]
    fn a_folder_without_a_run_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let message = Run::read(dir.path()).map(|_| ()).unwrap_err().to_string();
        assert!(message.contains(&dir.path().display().to_string()), "{message}");
    }
}
