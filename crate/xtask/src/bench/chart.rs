//! How many times as long peers take: one bar each, the line of equality, a logarithmic scale.

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use super::Measured;
use super::table::rows;

const WIDTH: u32 = 1000;
const BAR: u32 = 24;
const LABEL: i32 = 520;

/// The chart as SVG, legible on white and on black.
///
/// # Errors
/// If there is nothing to draw.
pub fn ratios(measured: &[Measured]) -> Result<String> {
    let bars: Vec<(String, f64)> = rows(measured)
        .iter()
        .flat_map(|row| {
            let ours = format!(
                "{} · {} · {} · {}",
                row.ours.place,
                row.ours.kind,
                row.ours.model,
                row.figure.name.split(',').next().unwrap_or("")
            );
            row.peers.iter().map(move |(engine, _, ratio)| (format!("{ours} — {engine}"), *ratio)).collect::<Vec<_>>()
        })
        .collect();
    if bars.is_empty() {
        return Err(anyhow!("nothing was measured beside a peer"));
    }
    let height = BAR * bars.len() as u32 + 70;
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        draw(&area, &bars).map_err(|error| anyhow!("the chart: {error}"))?;
    }
    Ok(svg)
}

fn draw<B: DrawingBackend>(area: &DrawingArea<B, plotters::coord::Shift>, bars: &[(String, f64)]) -> Result<(), String>
where
    B::ErrorType: 'static,
{
    let failed = |e: DrawingAreaErrorKind<B::ErrorType>| e.to_string();
    let (ink, better, worse) = (RGBColor(40, 40, 40), RGBColor(64, 130, 109), RGBColor(190, 90, 60));
    area.fill(&WHITE).map_err(failed)?;
    let text = |size: u32| ("sans-serif", size).into_font().color(&ink);
    let most = bars.iter().map(|(_, ratio)| *ratio).fold(2.0, f64::max);
    let least = bars.iter().map(|(_, ratio)| *ratio).fold(0.5, f64::min);
    let room = f64::from(WIDTH as i32 - LABEL - 70);
    let x = |ratio: f64| LABEL + ((ratio / least).ln() / (most / least).ln() * room) as i32;
    area.draw_text("Peers' time over maetok's, logarithmic; right of the line maetok is faster", &text(15), (10, 12))
        .map_err(failed)?;
    for (i, (label, ratio)) in bars.iter().enumerate() {
        let top = 44 + i as i32 * BAR as i32;
        area.draw_text(label, &text(12), (10, top + 4)).map_err(failed)?;
        let (from, to) = (x(1.0).min(x(*ratio)), x(1.0).max(x(*ratio)));
        let colour = if *ratio >= 1.0 { better } else { worse };
        let bar = Rectangle::new([(from, top + 2), (to.max(from + 1), top + BAR as i32 - 4)], colour.filled());
        area.draw(&bar).map_err(failed)?;
        area.draw_text(&format!("{ratio:.2} ×"), &text(12), (to + 5, top + 4)).map_err(failed)?;
    }
    let bottom = 44 + bars.len() as i32 * BAR as i32;
    let line = PathElement::new([(x(1.0), 40), (x(1.0), bottom)], ink.stroke_width(1));
    area.draw(&line).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::super::{Figure, Measured};
    use super::*;

    fn measured(engine: &str, seconds: f64) -> Measured {
        let figure = Figure { name: "step".into(), seconds: vec![seconds], flop: 0, bytes: 0, dispatches: 0 };
        let (place, model) = ("here".to_owned(), "toon".to_owned());
        Measured {
            place,
            engine: engine.into(),
            kind: "cpu",
            model,
            figures: vec![figure],
            whole: super::super::Whole::default(),
            left_out: Vec::new(),
        }
    }

    #[test]
    fn every_peer_has_a_bar_with_its_ratio() {
        let svg = ratios(&[measured("maetok", 0.5), measured("faster", 0.25), measured("slower", 1.5)]).expect("draws");
        for text in ["here · cpu · toon · step — faster", "0.50 ×", "step — slower", "3.00 ×"] {
            assert!(svg.contains(text), "{text}: {svg}");
        }
        assert!(ratios(&[measured("maetok", 0.5)]).is_err(), "nothing beside a peer");
    }
}
