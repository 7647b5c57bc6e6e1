//! What ffprobe answers about a file, in JSON: every number in it is its author's.

use reelway::ffmpeg::{Facts, Ratio, Stream};
use reelway::job::plan::{Known, Settings, Workspace, plan};
use reelway::job::{Kind, Options};
use serde_json::{Map, json};

/// Ten years: no film is longer.
const MAX_SECS: f64 = 10.0 * 366.0 * 24.0 * 3600.0;

/// Facts are sane, kept as they are, and whatever is planned by them has an end.
pub(crate) fn holds(data: &[u8]) {
    let Ok(facts) = Facts::from_ffprobe(data, 7) else { return };
    let is_sane = |secs: Option<f64>| secs.is_none_or(|secs| secs > 0.0 && secs < MAX_SECS);
    assert!(is_sane(facts.duration), "{facts:?}");
    for stream in &facts.streams {
        match stream {
            Stream::Video(video) => {
                assert!(is_sane(video.duration), "{video:?}");
                let fps = video.fps.map(Ratio::value);
                assert!(fps.is_none_or(|fps| fps > 0.0 && fps <= 1000.0), "{video:?}");
                let aspect = video.sample_aspect.value();
                assert!((0.049..20.1).contains(&aspect), "{video:?}");
                let (width, height) = video.display_size();
                assert!(width > 0 && height > 0, "{video:?}");
            }
            Stream::Audio(audio) => assert!(is_sane(audio.duration), "{audio:?}"),
            Stream::Other(other) => assert!(!other.kind.is_empty(), "{other:?}"),
        }
    }
    // They are kept with the task and read again, by whoever goes on with it.
    let kept = serde_json::to_value(&facts).expect("JSON");
    let again: Facts = serde_json::from_value(kept).expect("facts");
    assert_eq!(again, facts);
    for kind in Kind::OF_JOBS {
        let asked = if kind == Kind::Animation { json!({ "end": 2 }) } else { json!({}) };
        let Ok(options) = Options::decode(kind, asked.as_object().unwrap_or(&Map::new())) else {
            panic!("{kind:?} takes {asked}");
        };
        has_an_end(&options, &facts);
    }
}

fn has_an_end(options: &Options, facts: &Facts) {
    let files = Workspace { input: "/in/media".into(), output: "/out".into() };
    let settings = Settings { max_output_bytes: 1 << 30, ..Settings::default() };
    let Ok(plan) = plan(options, facts, &Known::default(), &files, &settings) else { return };
    let steps = plan.steps.iter().chain(plan.fallback.iter().flat_map(|other| &other.steps));
    for command in steps.filter_map(|step| step.command()) {
        let bounds = command.bounds;
        assert!(bounds.secs.is_finite() && bounds.secs > 0.0, "{bounds:?}: {facts:?}");
        assert!(bounds.bytes > 0 && bounds.bytes <= settings.max_output_bytes, "{bounds:?}");
        let expected = command.expected_secs;
        assert!(expected.is_none_or(|secs| secs.is_finite() && secs >= 0.0), "{facts:?}");
        let argv: Vec<_> = command.argv().iter().map(|it| it.to_string_lossy()).collect();
        let is_number = |text: &str| !text.contains("NaN") && !text.contains("inf");
        assert!(argv.iter().all(|it| is_number(it)), "{argv:?}: {facts:?}");
    }
}
