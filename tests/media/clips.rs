//! Every real clip and every kind, with the usual options: the facts of what came out, or why
//! not.
//!
//! Each line was judged against the rules of the wire when it was accepted.

use reelway::task::Kind;
use serde_json::{Value, json};

use crate::harness::{Bench, Seen, media};

#[tokio::test]
async fn every_clip_becomes_a_video_or_a_clear_error() {
    table(Kind::Video, json!({})).await;
}

#[tokio::test]
async fn every_clip_becomes_audio_or_a_clear_error() {
    table(Kind::Audio, json!({})).await;
}

#[tokio::test]
async fn every_clip_becomes_an_image_or_a_clear_error() {
    table(Kind::Image, json!({})).await;
}

#[tokio::test]
async fn every_clip_becomes_an_animation_or_a_clear_error() {
    // Small, because painting 1080p with a palette takes longer than all else here.
    table(Kind::Animation, json!({ "end": 2, "width": 320 })).await;
}

async fn table(kind: Kind, options: Value) {
    let Some(clips) = media() else { return };
    let bench = Bench::open().await;
    let mut rows = Vec::new();
    for clip in clips {
        let name = clip.file_name().expect("a name").to_string_lossy();
        rows.push(match bench.try_make(kind, options.clone(), &clip).await {
            Ok(output) => format!(
                "{name}\n  told: {}\n  seen: {}",
                output.told(),
                Seen::of(&output.path).line()
            ),
            Err(failure) => {
                let hint = failure.hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
                format!("{name}\n  {}: {}{hint}", failure.kind.name(), failure.message)
            }
        });
    }
    insta::assert_snapshot!(kind.name(), rows.join("\n"));
}
