//! `{"kind": …, "options": {…}}`: what is asked of a job.

use std::path::Path;

use reelway::ffmpeg::{AudioStream, Facts, Media, Ratio, Stream, VideoStream};
use reelway::job::plan::{Known, Settings, Work, Workspace, plan};
use reelway::job::{Kind, Options};
use serde_json::{Map, Value};

/// Options mean the same however they are written, and a plan of them says nothing of the user's.
pub(crate) fn holds(data: &[u8]) {
    let Some((kind, options)) = read(data) else { return };
    let decoded = match Options::decode(kind, &options) {
        Ok(decoded) => decoded,
        Err(error) => {
            assert!(!error.message.is_empty());
            return;
        }
    };
    assert_eq!(decoded.kind(), kind);
    let again: Map<String, Value> = reread(&options);
    assert_eq!(Options::decode(kind, &again).as_ref(), Ok(&decoded), "as it is kept");
    let backwards = options.iter().rev().map(|(name, value)| (name.clone(), value.clone()));
    let backwards: Map<String, Value> = backwards.collect();
    assert_eq!(Options::decode(kind, &backwards).as_ref(), Ok(&decoded), "in another order");
    for facts in [film(), song(), still()] {
        holds_of_plans(&decoded, &facts);
    }
}

fn read(data: &[u8]) -> Option<(Kind, Map<String, Value>)> {
    let request: Value = serde_json::from_slice(data).ok()?;
    let kind = Kind::from_name(request.get("kind")?.as_str()?)?;
    Some((kind, request.get("options")?.as_object()?.clone()))
}

fn reread(options: &Map<String, Value>) -> Map<String, Value> {
    let text = serde_json::to_string(options).expect("JSON");
    serde_json::from_str(&text).expect("the same JSON")
}

/// Whatever is planned reads the input, writes into its folder, and has an end.
fn holds_of_plans(options: &Options, facts: &Facts) {
    let files = Workspace { input: "/in/media".into(), output: "/out".into() };
    let known = Known::default();
    let settings = Settings { max_output_bytes: 1 << 30, ..Settings::default() };
    let Ok(plan) = plan(options, facts, &known, &files, &settings) else { return };
    assert!(!plan.outputs.is_empty(), "{options:?}");
    let share: f32 = plan.steps.iter().map(|step| step.share).sum();
    assert!((share - 1.0).abs() < 0.01, "{share} of the work: {options:?}");
    for step in plan.steps.iter().chain(plan.fallback.iter().flat_map(|other| &other.steps)) {
        let Work::Run(command) = &step.work else { continue };
        for path in &command.outputs {
            assert!(path.starts_with("/out"), "{}: {options:?}", path.display());
        }
        let given = |path: &Path| path.starts_with("/in") || path.starts_with("/out");
        let is_given = |media: &Media| media.path().is_some_and(given);
        assert!(command.inputs.iter().all(is_given), "{:?}: {options:?}", command.inputs);
        let bounds = command.bounds;
        assert!(bounds.secs.is_finite() && bounds.secs > 0.0, "{bounds:?}: {options:?}");
        assert!(bounds.bytes > 0 && bounds.bytes <= settings.max_output_bytes, "{bounds:?}");
        let argv: Vec<_> = command.argv().iter().map(|it| it.to_string_lossy()).collect();
        assert!(!argv.iter().any(|it| it.contains("://")), "{argv:?}");
    }
}

fn film() -> Facts {
    let picture = VideoStream {
        codec: "h264".into(),
        width: 1920,
        height: 1080,
        fps: Some(Ratio { num: 30000, den: 1001 }),
        frames: Some(120),
        duration: Some(4.004),
        pixel_format: "yuv420p".into(),
        bit_depth: 8,
        ..VideoStream::default()
    };
    let streams = vec![Stream::Video(picture), Stream::Audio(sound(1))];
    let format = "mov,mp4,m4a,3gp,3g2,mj2".into();
    Facts { format, duration: Some(4.0), size_bytes: 1 << 20, bit_rate: None, streams }
}

fn song() -> Facts {
    let streams = vec![Stream::Audio(sound(0))];
    Facts { format: "mp3".into(), duration: Some(180.0), streams, ..Facts::default() }
}

fn sound(index: u32) -> AudioStream {
    let (channels, sample_rate) = (2, 44_100);
    AudioStream { index, codec: "aac".into(), channels, sample_rate, ..AudioStream::default() }
}

fn still() -> Facts {
    let picture = VideoStream {
        codec: "png".into(),
        width: 3,
        height: 4000,
        frames: Some(1),
        pixel_format: "rgba".into(),
        bit_depth: 8,
        alpha: true,
        ..VideoStream::default()
    };
    let streams = vec![Stream::Video(picture)];
    Facts { format: "png_pipe".into(), streams, ..Facts::default() }
}
