//! The table against what was measured: `docs/quality.csv`, which `scripts/quality` makes.

use std::collections::BTreeMap;

use ffmpeg::{Preset, Rate, VideoEncoder};

use super::*;

/// Of each level, SSIM of all planes in decibels, as the mean of all clips.
const TARGETS: [(Quality, f64); 5] = [
    (Quality::VeryLow, 14.5),
    (Quality::Low, 17.0),
    (Quality::Medium, 19.0),
    (Quality::High, 21.25),
    (Quality::VeryHigh, 22.5),
];

/// SSIM by encoder, preset and number, of each clip that was measured there.
type Measured = BTreeMap<(String, String, u8), Vec<f64>>;

fn measured() -> Measured {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/quality.csv");
    let table = std::fs::read_to_string(path).expect("the table");
    let mut measured = Measured::new();
    for line in table.lines().skip(1) {
        let cells: Vec<_> = line.split(',').collect();
        let [_, encoder, preset, number, _clip, _kbits, ssim_db, _secs] = cells[..] else {
            panic!("not eight cells: {line}")
        };
        let key = (encoder.to_owned(), preset.to_owned(), number.parse().expect("a number"));
        measured.entry(key).or_default().push(ssim_db.parse().expect("decibels"));
    }
    let most = measured.values().map(Vec::len).max().expect("a row");
    assert!(most >= 3, "at least three clips");
    measured.retain(|_, clips| clips.len() == most);
    measured
}

/// The curve of a preset at a number, on a straight line between its neighbours.
fn looks(measured: &Measured, encoder: &str, preset: &str, number: u8) -> Option<f64> {
    let curve =
        measured.iter().filter(|((name, effort, _), _)| name == encoder && effort == preset);
    let curve: Vec<(f64, f64)> = curve
        .map(|((_, _, number), clips)| {
            (f64::from(*number), clips.iter().sum::<f64>() / clips.len() as f64)
        })
        .collect();
    let number = f64::from(number);
    let last = curve.len().checked_sub(2)?;
    let at = curve.iter().skip(1).position(|(measured, _)| number <= *measured).unwrap_or(last);
    let ((x0, y0), (x1, y1)) = (curve[at], curve[at + 1]);
    Some(y0 + (y1 - y0) * (number - x0) / (x1 - x0))
}

/// An encoder's name, how hard it tries, and its number.
fn told(encoder: VideoEncoder) -> (&'static str, String, u8) {
    let effort = |preset| match preset {
        Preset::Veryfast => "veryfast".to_owned(),
        Preset::Faster => "faster".to_owned(),
        Preset::Fast | Preset::Medium => panic!("nobody has measured it"),
    };
    let (name, preset, rate) = match encoder {
        VideoEncoder::X264 { preset, rate } => ("libx264", effort(preset), rate),
        VideoEncoder::X265 { preset, rate } => ("libx265", effort(preset), rate),
        VideoEncoder::SvtAv1 { preset, rate } => ("libsvtav1", preset.to_string(), rate),
        VideoEncoder::Vp9 { cpu_used, rate } => ("libvpx-vp9", cpu_used.to_string(), rate),
        VideoEncoder::AomAv1 { cpu_used, rate } => ("libaom-av1", cpu_used.to_string(), rate),
        other => panic!("nobody has measured it: {other:?}"),
    };
    let Rate::Quality(number) = rate else { panic!("not a quality: {rate:?}") };
    (name, preset, number)
}

#[test]
fn a_level_looks_alike_in_every_codec() {
    let measured = measured();
    let encoders = [
        (VideoCodec::H264, Av1Encoder::Svt),
        (VideoCodec::H265, Av1Encoder::Svt),
        (VideoCodec::Vp9, Av1Encoder::Svt),
        (VideoCodec::Av1, Av1Encoder::Svt),
        (VideoCodec::Av1, Av1Encoder::Aom),
    ];
    for (level, target) in TARGETS {
        for (codec, av1) in encoders {
            let (name, preset, number) = told(video(codec, level, None, av1));
            let off = |number| {
                let found = looks(&measured, name, &preset, number);
                (found.expect("a curve") - target).abs()
            };
            let what = format!("{name} {preset} {number} at {level:?}");
            assert!(off(number) < 0.35, "{what}: {:.2} dB beside it", off(number));
            // VP9 and AV1 end at 63.
            let others = [number - 1, (number + 1).min(63)];
            assert!(others.iter().all(|&other| off(other) >= off(number)), "{what} is not nearest");
        }
    }
}
