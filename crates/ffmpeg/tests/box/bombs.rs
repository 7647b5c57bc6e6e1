//! Small files that cost a naive reader gigabytes or hours, through a probe.

use std::time::Duration;

use ffmpeg::{Limits, Tools};
use tokio_util::sync::CancellationToken;

use crate::shared::{files, peak_memory_of_children, security, work_of_children};

#[tokio::test]
async fn every_bomb_is_probed_or_refused_in_ten_seconds_and_one_gibibyte() {
    let Some(folder) = security("bombs") else { return };
    let tools = Tools::find(None, None, Limits::default()).await.unwrap();
    let stop = CancellationToken::new();
    let bombs = files(&folder);
    assert!(bombs.len() >= 13, "{bombs:?}");
    for bomb in bombs {
        let before = work_of_children();
        let outcome = tools.probe(&bomb, &stop).await;
        let took = work_of_children().saturating_sub(before);
        assert!(took < Duration::from_secs(10), "{}: {took:?} {outcome:?}", bomb.display());
    }
    let peak = peak_memory_of_children();
    assert!(peak < 1 << 30, "{peak} bytes");
}
