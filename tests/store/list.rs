//! The list of jobs: its filters, its pages, both ways.

use std::collections::BTreeSet;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use reelway::id::{BatchId, JobId, fresh};
use reelway::job::{Job, Kind, Status};
use reelway::store::{JobFilter, Search, Store};

use crate::fixture::together;
use crate::world::{MANY, NOW, OURS, World};

const A: &str = "https://cdn.example.com/a.mp4";
const B: &str = "https://cdn.example.com/b.mp4";

/// The ids of a page, and whether there are more.
async fn page(world: &World, filter: &JobFilter) -> (Vec<JobId>, bool) {
    let page = world.store.jobs(OURS, filter).await.expect("a page");
    (page.jobs.iter().map(|job| job.id).collect(), page.has_more)
}

/// What a page must hold, of all jobs, oldest first.
fn expected(all: &[Job], filter: &JobFilter) -> (Vec<JobId>, bool) {
    let mut order: Vec<&Job> = all.iter().collect();
    if !filter.ascending {
        order.reverse();
    }
    let place = |id| order.iter().position(|job| job.id == id);
    let from = filter.after.and_then(place).map_or(0, |place| place + 1);
    let to = filter.before.and_then(place).unwrap_or(order.len());
    let mut ids: Vec<JobId> = order[from.min(to)..to]
        .iter()
        .filter(|job| filter.kind.is_none_or(|kind| job.spec.options.kind() == kind))
        .filter(|job| filter.status.is_none_or(|status| job.state.status() == status))
        .filter(|job| filter.ids.is_empty() || filter.ids.contains(&job.id))
        .filter(|job| {
            let search = filter.input_has.as_ref();
            search
                .is_none_or(|search| job.spec.input.as_str().contains(&search.text.to_lowercase()))
        })
        .filter(|job| filter.input.as_ref().is_none_or(|input| job.spec.input.as_str() == input))
        .filter(|job| filter.batch_id.is_none_or(|batch| job.batch_id == Some(batch)))
        .map(|job| job.id)
        .collect();
    let limit = filter.limit as usize;
    let surplus = ids.len().saturating_sub(limit);
    let is_backwards = filter.before.is_some() && filter.after.is_none();
    ids.drain(if is_backwards { 0..surplus } else { ids.len() - surplus..ids.len() });
    (ids, surplus > 0)
}

/// Jobs of every status, of two inputs, some in a batch; oldest first.
async fn fill(world: &World, batch: BatchId) -> Vec<Job> {
    world.job().input(A).succeeded().await;
    world.job().input(B).failed().await;
    world.job().input(A).batch(batch).cancelled().await;
    let gone = world.job().input(A).batch(fresh(NOW)).succeeded().await;
    world.delete(gone.id).await;
    world.job().input(B).kind(Kind::Audio).failed().await;
    world.job().input(A).kind(Kind::Image).running().await;
    world.job().input(A).kind(Kind::Image).submit().await;
    world.job().input(B).submit().await;
    world.job().input(A).batch(fresh(NOW)).submit().await;
    let filter = JobFilter { ascending: true, limit: MANY, ..JobFilter::default() };
    let all = world.store.jobs(OURS, &filter).await.expect("a page").jobs;
    assert!(all.iter().map(|job| job.id.to_string()).is_sorted());
    assert_eq!(all.len(), 8);
    all
}

pub(crate) async fn every_filter_with_every_cursor_leaves_what_it_names(world: World) {
    let batch = fresh(NOW);
    let all = fill(&world, batch).await;
    let (early, late) = (Some(all[2].id), Some(all[6].id));
    let cursors =
        [(None, None), (early, None), (None, early), (early, late), (late, early), (None, late)];
    let mut filters = vec![JobFilter { limit: 100, ..JobFilter::default() }];
    vary(&mut filters, [None, Some(Kind::Video), Some(Kind::Image)], |f, kind| f.kind = kind);
    vary(&mut filters, [None, Some(Status::Queued), Some(Status::Failed)], |f, status| {
        f.status = status;
    });
    vary(&mut filters, [None, Some(A), Some("https://cdn.example.com/a")], |f, input| {
        f.input = input.map(str::to_owned);
    });
    filters.extend([None, Some(Kind::Video)].map(|kind| JobFilter {
        batch_id: Some(batch),
        kind,
        limit: 100,
        ..JobFilter::default()
    }));
    let some = [all[1].id, all[3].id, all[5].id].to_vec();
    filters.push(JobFilter { ids: some, limit: 100, ..JobFilter::default() });
    let search = Search { text: "COM/B".to_owned(), at_most: 100 };
    filters.push(JobFilter { input_has: Some(search), limit: 100, ..JobFilter::default() });
    vary(&mut filters, cursors, |f, (after, before)| (f.after, f.before) = (after, before));
    vary(&mut filters, [false, true], |f, ascending| f.ascending = ascending);
    vary(&mut filters, [2, 100], |f, limit| f.limit = limit);
    for filter in &filters {
        assert_eq!(page(&world, filter).await, expected(&all, filter), "{filter:?}");
    }
}

pub(crate) async fn a_search_finds_a_part_of_the_input_and_ends_after_so_many_jobs(world: World) {
    let first = world.job().input("https://cdn.example.com/HOLIDAY%20one.mp4").submit().await;
    let mut others = Vec::new();
    for _ in 0..5 {
        others.push(world.job().input(A).submit().await.id);
    }
    let search = |after| JobFilter {
        input_has: Some(Search { text: "holiday%20".to_owned(), at_most: 3 }),
        after,
        limit: 10,
        ..JobFilter::default()
    };
    let found = world.store.jobs(OURS, &search(None)).await.expect("a page");
    assert_eq!((found.jobs.len(), found.has_more), (0, false));
    // Of the six, newest first, it has looked through three and says which is the last of them.
    assert!(found.looked_back_to.is_some_and(|id| others.contains(&id)));
    let found = world.store.jobs(OURS, &search(found.looked_back_to)).await.expect("a page");
    let ids: Vec<JobId> = found.jobs.iter().map(|job| job.id).collect();
    assert_eq!((ids, found.looked_back_to), (vec![first.id], None));
    let all = JobFilter { limit: 2, ..JobFilter::default() };
    assert_eq!(world.store.jobs(OURS, &all).await.expect("a page").looked_back_to, None);
}

/// Every filter with every value.
fn vary<T: Copy, const N: usize>(
    filters: &mut Vec<JobFilter>,
    values: [T; N],
    set: impl Fn(&mut JobFilter, T),
) {
    let before = std::mem::take(filters);
    for filter in before {
        for value in values {
            let mut filter = filter.clone();
            set(&mut filter, value);
            filters.push(filter);
        }
    }
}

pub(crate) async fn every_status_can_be_asked_for(world: World) {
    let all = fill(&world, fresh(NOW)).await;
    for status in Status::ALL {
        let filter = JobFilter { status: Some(status), limit: 100, ..JobFilter::default() };
        let (ids, has_more) = page(&world, &filter).await;
        assert!(!ids.is_empty() && !has_more, "{status:?}");
        assert_eq!((ids, has_more), expected(&all, &filter));
    }
}

pub(crate) async fn pages_walk_forth_and_back_in_both_orders(world: World) {
    let mut all = Vec::new();
    for _ in 0..7 {
        all.push(world.job().submit().await.id);
    }
    for ascending in [true, false] {
        if !ascending {
            all.reverse();
        }
        for limit in [1, 3, 7] {
            let start = JobFilter { ascending, limit, ..JobFilter::default() };
            let (mut ids, mut has_more) = page(&world, &start).await;
            let mut forth = ids.clone();
            while has_more {
                let filter = JobFilter { after: ids.last().copied(), ..start.clone() };
                (ids, has_more) = page(&world, &filter).await;
                forth.extend(&ids);
            }
            assert_eq!(forth, all, "forth by {limit}");
            let mut back = ids.clone();
            loop {
                let filter = JobFilter { before: back.first().copied(), ..start.clone() };
                (ids, has_more) = page(&world, &filter).await;
                back.splice(0..0, ids);
                if !has_more {
                    break;
                }
            }
            assert_eq!(back, all, "back by {limit}");
        }
    }
}

pub(crate) async fn a_walk_misses_and_repeats_nothing_while_jobs_come_in(world: World) {
    let mut all = Vec::new();
    for _ in 0..6 {
        all.push(world.job().submit().await.id);
    }
    let was_there = all.clone();
    for ascending in [false, true] {
        let start = JobFilter { ascending, limit: 2, ..JobFilter::default() };
        let (mut ids, mut has_more) = page(&world, &start).await;
        let mut seen = ids.clone();
        while has_more {
            // The last pages of an ascending walk would never end if jobs came as fast as pages.
            if all.len() < 20 {
                all.push(world.job().submit().await.id);
            }
            let filter = JobFilter { after: ids.last().copied(), ..start.clone() };
            (ids, has_more) = page(&world, &filter).await;
            seen.extend(&ids);
        }
        if ascending {
            assert_eq!(seen, all, "what came in stands at the end");
        } else {
            let oldest_first: Vec<_> = seen.into_iter().rev().collect();
            assert_eq!(oldest_first, was_there, "what came in stands before the first page");
        }
    }
}

pub(crate) async fn a_deleted_job_still_marks_its_place(world: World) {
    let mut all = Vec::new();
    for _ in 0..5 {
        all.push(world.job().submit().await.id);
    }
    world.delete(all[2]).await;
    let filter = JobFilter { limit: 9, ascending: true, ..JobFilter::default() };
    let after = JobFilter { after: Some(all[2]), ..filter.clone() };
    assert_eq!(page(&world, &after).await, (all[3..].to_vec(), false));
    let before = JobFilter { before: Some(all[2]), ..filter };
    assert_eq!(page(&world, &before).await, (all[..2].to_vec(), false));
}

pub(crate) async fn a_list_shows_jobs_whole(world: World) {
    let ended = world.job().succeeded().await;
    let waits = world.job().submit().await;
    let filter = JobFilter { limit: 9, ..JobFilter::default() };
    let listed = world.store.jobs(OURS, &filter).await.expect("a page").jobs;
    assert_eq!(listed, [waits, ended]);
}

pub(crate) async fn no_walk_skips_or_repeats_whatever_comes_and_goes(world: World) {
    let other = world.again().await;
    for seed in 0..24 {
        let mut rng = StdRng::seed_from_u64(seed);
        for _ in 0..rng.random_range(0..12) {
            world.job().submit().await;
        }
        let all = JobFilter { limit: MANY, ..JobFilter::default() };
        let there = world.store.jobs(OURS, &all).await.expect("a page").jobs;
        let mut there: Vec<JobId> = there.iter().map(|job| job.id).collect();
        let mut walk = Walk::random(&world, &mut rng);
        while !walk.is_over {
            let went = (!there.is_empty() && rng.random())
                .then(|| there.swap_remove(rng.random_range(0..there.len())));
            // A walk towards where jobs come in would never end if they came as fast as pages.
            let count = if walk.seen.len() < 80 { rng.random_range(0..3) } else { 0 };
            let came: Vec<Job> = (0..count).map(|_| world.job().build()).collect();
            let others = async {
                if !came.is_empty() {
                    other.submit(together(came)).await.expect("an answer");
                }
                if let Some(went) = went {
                    other.delete(OURS, went).await.expect("an answer");
                }
            };
            futures::join!(walk.step(&*world.store), others);
        }
        let once: BTreeSet<JobId> = walk.seen.iter().copied().collect();
        assert_eq!(once.len(), walk.seen.len(), "seed {seed}: repeated: {walk:?}");
        let skipped: Vec<_> = there.iter().filter(|id| !once.contains(id)).collect();
        assert!(skipped.is_empty(), "seed {seed}: {skipped:?} of {walk:?}");
    }
}

/// A walk over all jobs, page by page.
#[derive(Debug)]
struct Walk {
    filter: JobFilter,
    seen: Vec<JobId>,
    is_over: bool,
}

impl Walk {
    /// In any order, with pages of any size, from either end.
    fn random(world: &World, rng: &mut StdRng) -> Self {
        let (ascending, limit) = (rng.random(), rng.random_range(1..6));
        let mut filter = JobFilter { ascending, limit, ..JobFilter::default() };
        if rng.random() {
            let (early, late) = (NOW.minus(Duration::from_hours(1)), Duration::from_hours(1));
            // Behind everything, and backwards from there.
            let end = if ascending { world.now().plus(late) } else { early };
            filter.before = Some(fresh(end));
        }
        Self { filter, seen: Vec::new(), is_over: false }
    }

    async fn step(&mut self, store: &dyn Store) {
        let page = store.jobs(OURS, &self.filter).await.expect("a page");
        self.seen.extend(page.jobs.iter().map(|job| job.id));
        self.is_over = !page.has_more;
        let Some((first, last)) = page.jobs.first().zip(page.jobs.last()) else { return };
        if self.filter.before.is_some() {
            self.filter.before = Some(first.id);
        } else {
            self.filter.after = Some(last.id);
        }
    }
}
