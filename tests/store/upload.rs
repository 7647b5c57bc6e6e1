//! Files that callers send: they grow part by part, belong to one project, and go in the end.

use std::time::Duration;

use reelway::access::Project;
use reelway::id::{UploadId, fresh};
use reelway::job::{InputUrl, Job, Kept, Owner};
use reelway::store::{AppendUpload, Appended, Upload, UploadPart};

use crate::fixture::together;
use crate::world::{OURS, World, at_once};

const DAY: Duration = Duration::from_hours(24);
const WEEK: Duration = Duration::from_hours(7 * 24);

/// An upload of so many bytes that has begun.
async fn begun(world: &World, size: Option<u64>) -> Upload {
    world.pass(Duration::from_millis(1));
    let upload = Upload {
        id: fresh(world.now()),
        project: OURS.clone(),
        owner: Owner::named("key_a"),
        name: Some("ünser clip.mp4".to_owned()),
        media: None,
        metadata: Some("filename Y2xpcC5tcDQ=".to_owned()),
        size,
        received: 0,
        part_count: 0,
        digest_state: None,
        sha256: None,
        created_at: world.now(),
        expires_at: world.now().plus(DAY),
        finished_at: None,
    };
    world.store.begin_upload(&upload).await.expect("an answer");
    upload
}

fn part(id: UploadId, start: u64, size: u64) -> UploadPart {
    UploadPart { start, size, key: format!("uploads/{id}/{start}-{size}") }
}

/// A part of `size` bytes behind `from`, that makes the file whole if `last`.
fn piece(id: UploadId, from: u64, size: u64, last: bool) -> AppendUpload {
    AppendUpload {
        id,
        project: OURS.clone(),
        from,
        parts: vec![part(id, from, size)],
        media: Some("video/mp4".to_owned()),
        digest_state: format!("state at {}", from + size),
        sha256: last.then(|| "ab".repeat(32)),
        keep: if last { WEEK } else { DAY },
    }
}

async fn append(world: &World, append: &AppendUpload) -> Appended {
    world.store.append_upload(append).await.expect("an answer")
}

async fn find(world: &World, id: UploadId) -> Option<Upload> {
    world.store.upload(OURS, id).await.expect("an answer")
}

/// A whole upload of seven bytes.
async fn whole(world: &World) -> Upload {
    let upload = begun(world, Some(7)).await;
    match append(world, &piece(upload.id, 0, 7, true)).await {
        Appended::Done(upload) => *upload,
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn an_upload_grows_part_by_part_until_it_is_whole(world: World) {
    let upload = begun(&world, Some(10)).await;
    assert_eq!(find(&world, upload.id).await, Some(upload.clone()));
    world.pass(Duration::from_secs(1));
    let grown = append(&world, &piece(upload.id, 0, 4, false)).await;
    let expected = Upload {
        media: Some("video/mp4".to_owned()),
        received: 4,
        part_count: 1,
        digest_state: Some("state at 4".to_owned()),
        expires_at: world.now().plus(DAY),
        ..upload
    };
    assert_eq!(grown, Appended::Done(Box::new(expected.clone())));
    assert_eq!(find(&world, upload.id).await, Some(expected.clone()));

    world.pass(Duration::from_secs(1));
    let several = AppendUpload {
        parts: vec![part(upload.id, 4, 5), part(upload.id, 9, 1)],
        ..piece(upload.id, 4, 6, true)
    };
    let Appended::Done(grown) = append(&world, &several).await else { panic!("it grows") };
    assert_eq!((grown.received, grown.part_count), (10, 3));
    assert_eq!((grown.finished_at, grown.sha256.is_some()), (Some(world.now()), true));
    assert_eq!(grown.expires_at, world.now().plus(WEEK));
    let parts = world.store.upload_parts(&grown).await.expect("parts");
    let expected = [(0, 4), (4, 5), (9, 1)].map(|(start, size)| part(upload.id, start, size));
    assert_eq!(parts, expected);
}

pub(crate) async fn an_upload_of_unknown_size_is_whole_when_it_is_said_to_be(world: World) {
    let upload = begun(&world, None).await;
    append(&world, &piece(upload.id, 0, 4, false)).await;
    let end = AppendUpload { parts: Vec::new(), ..piece(upload.id, 4, 0, true) };
    let Appended::Done(grown) = append(&world, &end).await else { panic!("it ends") };
    assert_eq!((grown.size, grown.received, grown.part_count), (Some(4), 4, 1));
}

pub(crate) async fn a_part_counts_only_where_the_upload_ends(world: World) {
    let upload = begun(&world, Some(10)).await;
    append(&world, &piece(upload.id, 0, 4, false)).await;
    for from in [0, 3, 5] {
        let refused = append(&world, &piece(upload.id, from, 2, false)).await;
        assert_eq!(refused, Appended::Elsewhere(4), "{from}");
    }
    append(&world, &piece(upload.id, 4, 6, true)).await;
    let refused = append(&world, &piece(upload.id, 10, 1, false)).await;
    assert_eq!(refused, Appended::Elsewhere(10), "it is whole");
    assert_eq!(world.store.upload_parts(&upload).await.expect("parts").len(), 2);
}

pub(crate) async fn an_upload_is_its_projects_alone(world: World) {
    let upload = whole(&world).await;
    for stranger in ["another", "default2"] {
        let stranger: Project = stranger.parse().expect("a project");
        let store = &world.store;
        assert_eq!(store.upload(&stranger, upload.id).await.expect("an answer"), None);
        assert_eq!(store.use_upload(&stranger, upload.id, WEEK).await.expect("an answer"), None);
        assert!(!store.remove_upload(&stranger, upload.id).await.expect("an answer"));
        let theirs = AppendUpload { project: stranger, ..piece(upload.id, 7, 1, false) };
        assert_eq!(append(&world, &theirs).await, Appended::Gone);
    }
    assert_eq!(find(&world, upload.id).await, Some(upload));
}

pub(crate) async fn of_many_who_send_the_same_bytes_one_counts(world: World) {
    let stores = world.two().await;
    for _ in 0..10 {
        let upload = begun(&world, Some(8)).await;
        let senders = (0..6_usize).map(|n| {
            let (store, id) = (stores[n % 2].clone(), upload.id);
            async move {
                let mut piece = piece(id, 0, 4, false);
                piece.parts[0].key = format!("uploads/{id}/{n}");
                store.append_upload(&piece).await.expect("an answer")
            }
        });
        let answers = at_once(senders).await;
        let counted = answers.iter().filter(|answer| matches!(answer, Appended::Done(_))).count();
        assert_eq!(counted, 1);
        assert_eq!(answers.iter().filter(|it| **it == Appended::Elsewhere(4)).count(), 5);
        assert_eq!(world.store.upload_parts(&upload).await.expect("parts").len(), 1);
    }
}

pub(crate) async fn an_upload_that_is_used_is_kept_longer_and_never_shorter(world: World) {
    let upload = whole(&world).await;
    let keep = async |keep| {
        let used = world.store.use_upload(OURS, upload.id, keep).await;
        used.expect("an answer").expect("the upload").expires_at
    };
    world.pass(DAY);
    assert_eq!(keep(WEEK).await, world.now().plus(WEEK));
    assert_eq!(keep(DAY).await, world.now().plus(WEEK));
    let half = begun(&world, Some(9)).await;
    let used = world.store.use_upload(OURS, half.id, WEEK).await.expect("an answer");
    assert_eq!(used, None, "it is not whole");
}

pub(crate) async fn an_upload_that_is_removed_dooms_its_bytes(world: World) {
    let upload = whole(&world).await;
    assert!(world.store.remove_upload(OURS, upload.id).await.expect("an answer"));
    assert_eq!(find(&world, upload.id).await, None);
    assert!(world.store.upload_parts(&upload).await.expect("parts").is_empty());
    assert!(world.dooms(&format!("uploads/{}/0-7", upload.id)).await);
    assert!(!world.store.remove_upload(OURS, upload.id).await.expect("an answer"));
    assert_eq!(append(&world, &piece(upload.id, 7, 1, false)).await, Appended::Gone);
}

pub(crate) async fn an_upload_whose_time_is_over_goes(world: World) {
    let (half, whole) = (begun(&world, Some(9)).await, whole(&world).await);
    world.pass(DAY);
    assert_eq!(find(&world, half.id).await, None, "its time is over before it is swept");
    assert_eq!(append(&world, &piece(half.id, 0, 1, false)).await, Appended::Gone);
    assert_eq!(world.store.expire_uploads(100).await.expect("an answer"), 1);
    assert!(find(&world, whole.id).await.is_some());
    world.pass(WEEK);
    assert_eq!(world.store.expire_uploads(100).await.expect("an answer"), 1);
    assert!(world.dooms(&format!("uploads/{}/0-1", half.id)).await);
    assert_eq!(world.store.expire_uploads(100).await.expect("an answer"), 0);
}

pub(crate) async fn an_upload_that_a_job_waits_for_stays(world: World) {
    let upload = whole(&world).await;
    let url = format!("https://media.example.com/uploads/{}", upload.id);
    let mut job: Job = world.job().owner("key_a").build();
    job.spec.input = InputUrl::parse(&url).expect("a URL").keeping(Kept::Upload(upload.id));
    world.store.submit(together([job.clone()])).await.expect("an answer");
    assert_eq!(world.read(job.id).await, job, "a job keeps its upload");
    world.pass(WEEK);
    assert_eq!(world.store.expire_uploads(100).await.expect("an answer"), 0);
    let used = world.store.use_upload(OURS, upload.id, DAY).await.expect("an answer");
    assert_eq!(used.expect("the upload").expires_at, world.now().plus(DAY));
    world.pass(DAY);
    world.cancel(job.id).await;
    assert_eq!(world.store.expire_uploads(100).await.expect("an answer"), 1);
}
