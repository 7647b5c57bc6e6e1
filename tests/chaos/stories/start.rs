//! Everybody starts at once.

use crate::database::{Cluster, Database};
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
    // A link or a session of one server must be good on every other.
    let secrets: Vec<String> = sqlx::query_scalar("select name from secrets order by name")
        .fetch_all(&mut connection)
        .await
        .expect("the secrets");
    assert_eq!(secrets, ["links", "sessions"]);
    drop(processes);
    drop(connection);
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_applications_own_database_is_left_alone_and_shared_by_a_schema() {
    let Some(database) = Database::create().await else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let mut connection = database.connect().await;
    let theirs = "create table jobs (id int); create table media_jobs (task_id text);
                  insert into media_jobs values ('theirs')";
    sqlx::raw_sql(theirs).execute(&mut connection).await.expect("the application's tables");

    let refused = Launch::server(folder.path(), "refused", &database.url);
    assert!(!refused.spawn().is_ready().await, "there is no room for it");
    let log = refused.log();
    assert!(log.contains("relation \"jobs\" already exists"), "{log}");
    assert!(log.contains("options[search_path]=reelway"), "{log}");

    let url = format!("{}?options[search_path]=pipeline", database.url);
    let mut server = Launch::server(folder.path(), "beside", &url).spawn();
    assert!(server.is_ready().await, "{}", server.launch.log());
    let ours: i64 = sqlx::query_scalar("select count(*) from pipeline.media_jobs")
        .fetch_one(&mut connection)
        .await
        .expect("Reelway's relation");
    let theirs: Vec<String> = sqlx::query_scalar("select task_id from media_jobs")
        .fetch_all(&mut connection)
        .await
        .expect("the application's table");
    assert_eq!((ours, theirs), (0, vec!["theirs".to_owned()]));
    drop((server, connection));
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_way_to_the_database_is_encrypted_and_its_server_known() {
    let Some(cluster) = Cluster::start().await else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let url = cluster.url.replace("127.0.0.1", "localhost");
    let known = format!("{url}?sslmode=verify-full&sslrootcert={}", cluster.certificate.display());
    let mut server = Launch::server(folder.path(), "known", &known).spawn();
    assert!(server.is_ready().await, "{}", server.launch.log());
    let mut connection = crate::database::connect(&cluster.url).await.expect("the database");
    let text = "select application_name, ssl from pg_stat_ssl join pg_stat_activity using (pid)
                where application_name like 'reelway%' order by application_name";
    let ways: Vec<(String, bool)> =
        sqlx::query_as(text).fetch_all(&mut connection).await.expect("its connections");
    let names: Vec<&str> = ways.iter().map(|(name, _)| name.as_str()).collect();
    assert!(names.contains(&"reelway") && names.contains(&"reelway listen"), "{ways:?}");
    assert!(ways.iter().all(|(_, is_encrypted)| *is_encrypted), "{ways:?}");

    // The same server, by a name that is not in its certificate; and one that nobody vouches for.
    let elsewhere = known.replace("localhost", "127.0.0.1");
    let unknown = format!("{url}?sslmode=verify-full");
    for (name, url) in [("elsewhere", elsewhere), ("unknown", unknown)] {
        let refused = Launch::server(folder.path(), name, &url);
        assert!(!refused.spawn().is_ready().await, "{name} is no server that it knows");
        let log = refused.log();
        assert!(log.contains("certificate") && log.contains("DATABASE_URL"), "{log}");
    }
    drop((server, connection));
}
