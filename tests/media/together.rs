//! Several videos of one input by one process are what each would be alone.

use std::path::{Path, PathBuf};

use ffmpeg::{Conversion, Limits, Tools};
use reelway::task::Kind::Video;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::harness::{Bench, Clip, H264, Seen, clip, kept, likeness, tones, turn};

/// Two seconds of something with edges and moving detail, 640 × 360.
fn film() -> PathBuf {
    let picture = "testsrc2=s=640x360:r=25:d=2,noise=alls=6:allf=t";
    clip(&Clip { name: "film.mp4", sources: &[picture, &tones("stereo", 48_000, 2)], coded: H264 })
}

/// What one process makes of these.
async fn together(bench: &Bench, wanted: &[Value], input: &Path) -> Vec<PathBuf> {
    let plans = bench.plans(Video, wanted, input).await;
    let conversions: Vec<&Conversion> =
        plans.iter().map(|plan| plan.shareable.as_ref().expect("it can be shared")).collect();
    let command = Conversion::together(&conversions).expect("one process");
    assert_eq!(command.outputs.len(), wanted.len());
    let tools = Tools::find(None, None, Limits::default()).await.expect("ffmpeg is installed");
    tools.run(&command, |_| {}, &CancellationToken::new()).await.expect("it is made");
    plans.iter().map(|plan| plan.main_path().expect("a file")).collect()
}

#[tokio::test]
async fn each_output_is_what_it_is_alone() {
    let bench = Bench::open().await;
    let film = film();
    let turned = kept("turned.mp4", &["turned film"], |path| turn(&film, path));
    let wide = clip(&Clip {
        name: "wide.mp4",
        sources: &["testsrc2=s=480x360:r=30000/1001:d=2,setsar=4/3"],
        coded: H264,
    });
    let wanted = [
        json!({"quality": "high", "copy": "never"}),
        json!({"width": 160, "quality": "very_high"}),
        json!({"width": 300, "height": 300, "fit": "cover", "fps": 10}),
        json!({"format": "webm", "width": 200, "mute": true}),
    ];
    for input in [&film, &turned, &wide] {
        let shared = together(&bench, &wanted, input).await;
        for (options, path) in wanted.iter().zip(&shared) {
            let alone = bench.make(Video, options.clone(), input).await;
            let what = format!("{options} of {}", input.display());
            let (one, other) = (Seen::of(path), alone.seen());
            assert_eq!(one.line(), other.line(), "{what}");
            assert_eq!(one.times(), other.times(), "{what}");
            assert!((one.secs() - other.secs()).abs() < 0.001, "{what}");
            if one.count("audio") > 0 {
                assert!((one.lag() - other.lag()).abs() < 0.001, "{what}");
            }
            let alike = likeness(path, &alone.path);
            assert!(alike > 0.98, "{what}: {alike}");
        }
    }
}

#[tokio::test]
async fn a_small_picture_of_a_larger_one_is_as_good_as_of_the_source() {
    let bench = Bench::open().await;
    let film = film();
    let best = json!({"width": 160, "quality": "very_high"});
    let wanted = [json!({"width": 320, "quality": "very_high"}), best.clone()];
    let shared = together(&bench, &wanted, &film).await;
    // What the encoder would be given, had it the source's own picture in that size.
    let direct = clip(&Clip {
        name: "direct.mkv",
        sources: &["testsrc2=s=640x360:r=25:d=2,noise=alls=6:allf=t"],
        coded: "-vf scale=160:90:flags=bicubic -pix_fmt yuv420p -c:v ffv1",
    });
    let alone = bench.make(Video, best, &film).await;
    let (of_alone, of_shared) = (likeness(&alone.path, &direct), likeness(&shared[1], &direct));
    assert!(of_shared > of_alone - 0.01, "{of_shared} against {of_alone}");
}

#[tokio::test]
async fn what_cannot_share_is_told_apart() {
    let bench = Bench::open().await;
    let plain = clip(&Clip {
        name: "light.mp4",
        sources: &["testsrc2=s=320x180:r=25:d=1"],
        coded: "-pix_fmt yuv420p -c:v libx264 -crf 35",
    });
    let plans = bench.plans(Video, &[json!({})], &plain).await;
    assert!(plans[0].shareable.is_none(), "it is copied");
    let parts = [json!({"end": 1, "copy": "never"}), json!({"start": 1, "copy": "never"})];
    let plans = bench.plans(Video, &parts, &film()).await;
    let conversions: Vec<&Conversion> =
        plans.iter().filter_map(|plan| plan.shareable.as_ref()).collect();
    assert_eq!(conversions.len(), 2);
    assert_eq!(Conversion::together(&conversions), None, "they read other parts");
}
