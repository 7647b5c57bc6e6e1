//! A worker goes without a word, and one that says goodbye is not missed.

use std::time::{Duration, Instant};

use crate::fleet::Launch;
use crate::receivers::Receiver;
use crate::stage::Stage;
use crate::support::{eventually, eventually_within, say};

/// How soon an operator must know: 45 s of silence, 10 s until somebody looks, and the push.
const PROMISED: Duration = Duration::from_secs(65);

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_is_told_once_of_a_worker_that_was_killed_and_not_of_one_that_was_ended() {
    let Some(stage) = Stage::open().await else { return };
    let operator = Receiver::start().await;
    let told = |launch: Launch| launch.with("REELWAY_OPERATIONS_URL", &operator.url);
    // Several processes look, and one of them tells.
    let server = |name| told(Launch::server(stage.folder.path(), name, &stage.database.url));
    let (mut one, mut two) = (server("one").start().await, server("two").start().await);
    let worker = |name| told(stage.worker(name));
    let mut killed = worker("killed").start().await;
    let mut ended = worker("ended").start().await;
    let waited_for = async || {
        let text = "select count(*) from workers where expected_by is not null";
        let mut database = stage.database.connect().await;
        sqlx::query_scalar::<_, i64>(text).fetch_one(&mut database).await.expect("a number")
    };
    // The stage has a server of its own beside these.
    eventually("all have said that they are there", async || {
        (waited_for().await == 5).then_some(())
    })
    .await;

    assert!(ended.end().await);
    assert_eq!(waited_for().await, 4, "it said goodbye");
    let lost_at = Instant::now();
    killed.kill().await;
    let pushes = eventually_within(PROMISED, "the operator is told", async || {
        Some(operator.pushes()).filter(|pushes| !pushes.is_empty())
    })
    .await;
    say(&format!(
        "an operator knows of a dead worker after {:.1} s",
        lost_at.elapsed().as_secs_f64()
    ));
    assert_eq!((pushes[0].kind.as_str(), pushes[0].seq), ("worker.lost", 0));
    assert!(pushes[0].is_genuine && pushes[0].was_taken);
    assert_eq!(waited_for().await, 3, "nobody waits for it any more");
    assert!(one.end().await && two.end().await);
    let text = "select count(*) from events where kind = 'worker.lost'";
    let mut database = stage.database.connect().await;
    let events: i64 = sqlx::query_scalar(text).fetch_one(&mut database).await.expect("a number");
    assert_eq!((events, operator.pushes().len()), (1, 1));
    drop(database);
    stage.close().await;
}
