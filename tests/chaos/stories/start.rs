//! Everybody starts at once.

use crate::database::Database;
use crate::fleet::Launch;
use crate::support::{files, say};

#[tokio::test(flavor = "multi_thread")]
async fn ten_processes_that_start_at_once_on_an_empty_database_migrate_it_once() {
    let Some(database) = Database::create().await else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let launches = (0..10).map(|number| {
        let role = if number < 3 { Launch::server } else { Launch::worker };
        role(folder.path(), &format!("process-{number}"), &database.url)
    });
    let mut processes: Vec<_> = launches.map(|launch| launch.spawn()).collect();
    let begun = std::time::Instant::now();
    for process in &mut processes {
        assert!(process.is_ready().await, "{}", process.launch.log());
    }
    say(&format!("ten processes were ready after {:.1} s", begun.elapsed().as_secs_f64()));

    let mut connection = database.connect().await;
    let text = "select version, success from _sqlx_migrations order by version";
    let done: Vec<(i64, bool)> =
        sqlx::query_as(text).fetch_all(&mut connection).await.expect("the migrations");
    let known =
        files(std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/postgres")));
    assert_eq!(done.len(), known.len());
    assert!(done.iter().all(|(_, success)| *success), "{done:?}");
    // Signs of links must be good on every server.
    let secrets: Vec<String> = sqlx::query_scalar("select name from secrets")
        .fetch_all(&mut connection)
        .await
        .expect("the secrets");
    assert_eq!(secrets, ["links"]);
    drop(processes);
    drop(connection);
    database.remove().await;
}
