//! Whether a history is one that the promises allow.
//!
//! Pure: a history comes in, and out comes everything that is wrong with it, each line with the
//! promise that it breaks.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{History, JobRow, Told};

/// What a rule finds wrong.
type Wrongs = Vec<String>;

/// Looks for breaches of one promise.
type Rule = fn(&History) -> Wrongs;

/// The promises, each with the rule that looks for breaches of it.
const RULES: [(&str, Rule); 12] = [
    ("a request is done once however often it is sent", a_request_is_done_once),
    ("no accepted job is lost, and none appears", no_job_is_lost),
    ("every job ends", every_job_ends),
    ("every end has one event", every_end_has_one_event),
    ("an end that was told is the end", an_end_that_was_told_stands),
    ("every event reaches its receiver", every_event_is_delivered),
    ("webhooks are genuine and tell what is so", webhooks_are_genuine),
    ("outputs are of one attempt of a job that succeeded", outputs_are_of_one_attempt),
    ("every output is whole", every_output_is_whole),
    ("nothing lies about in storage", nothing_lies_about),
    ("no process and no work in progress is left", nothing_is_left),
    ("a job fails or is cancelled only for a reason", ends_are_explained),
];

/// Everything that is wrong with a history.
pub(crate) fn check(history: &History) -> Wrongs {
    let found = RULES.iter().flat_map(|(promise, rule)| {
        rule(history).into_iter().map(move |wrong| format!("{promise}: {wrong}"))
    });
    found.collect()
}

fn a_request_is_done_once(history: &History) -> Wrongs {
    let mut wrongs = history.told.refused.clone();
    let mut answers: BTreeMap<&str, BTreeSet<&[String]>> = BTreeMap::new();
    for (key, ids) in &history.told.accepted {
        answers.entry(key).or_default().insert(ids);
    }
    let several = answers.into_iter().filter(|(_, answers)| answers.len() > 1);
    wrongs.extend(several.map(|(key, answers)| format!("key {key} was answered {answers:?}")));
    wrongs
}

fn no_job_is_lost(history: &History) -> Wrongs {
    let accepted = history.accepted();
    let kept: BTreeSet<&str> = history.jobs.iter().map(|job| job.id.as_str()).collect();
    let lost = accepted.difference(&kept).map(|id| format!("{id} was accepted and is not there"));
    let strange = kept.difference(&accepted).map(|id| format!("{id} is there, and nobody knows"));
    lost.chain(strange).collect()
}

fn every_job_ends(history: &History) -> Wrongs {
    let open = history.jobs.iter().filter(|job| !job.has_ended() || job.task_state != job.state);
    open.map(|job| format!("{} is {} and its task {}", job.id, job.state, job.task_state)).collect()
}

fn every_end_has_one_event(history: &History) -> Wrongs {
    let mut wrongs = Vec::new();
    for job in &history.jobs {
        let mut events: Vec<(i64, &str)> = history
            .events
            .iter()
            .filter(|event| event.job_id == job.id)
            .map(|event| (event.seq, event.kind.as_str()))
            .collect();
        events.sort_unstable();
        let retries = history.retries(&job.id);
        let expected = 1 + retries.surely as usize..=1 + retries.at_most() as usize;
        if !expected.contains(&events.len()) {
            wrongs.push(format!("{}: {expected:?} ends have the events {events:?}", job.id));
            continue;
        }
        let numbers = events.iter().map(|(seq, _)| *seq);
        let in_order = numbers.eq(1..=job.seq);
        let ends_so = events.last().is_some_and(|(_, kind)| *kind == format!("job.{}", job.state));
        let successes = events.iter().filter(|(_, kind)| *kind == "job.succeeded").count();
        if !in_order || !ends_so || successes > 1 {
            wrongs.push(format!("{} is {} after the events {events:?}", job.id, job.state));
        }
    }
    wrongs
}

fn an_end_that_was_told_stands(history: &History) -> Wrongs {
    let jobs = by_id(history);
    let mut wrongs = Vec::new();
    for seen in &history.told.ends {
        let was_retried = history.retries(&seen.job).at_most() > seen.retries_before;
        let state = jobs.get(seen.job.as_str()).map(|job| job.state.as_str());
        if !was_retried && state.is_some_and(|state| state != seen.status) {
            wrongs.push(format!("{} was {} and is {state:?} now", seen.job, seen.status));
        }
    }
    wrongs
}

fn every_event_is_delivered(history: &History) -> Wrongs {
    let mut wrongs = Vec::new();
    let taken: BTreeSet<&str> =
        history.pushes.iter().filter(|push| push.was_taken).map(|push| &*push.event).collect();
    for event in &history.events {
        let of_event = history.deliveries.iter().filter(|delivery| delivery.event_id == event.id);
        let states: Vec<&str> = of_event.map(|delivery| delivery.state.as_str()).collect();
        if states != ["delivered"] || !taken.contains(event.id.as_str()) {
            let seen = if taken.contains(event.id.as_str()) { "saw" } else { "did not see" };
            let (id, job, kind) = (&event.id, &event.job_id, &event.kind);
            wrongs.push(format!("{id} ({kind} of {job}) is {states:?}; its receiver {seen} it"));
        }
    }
    wrongs
}

fn webhooks_are_genuine(history: &History) -> Wrongs {
    let mut wrongs = Vec::new();
    for push in &history.pushes {
        let event = history.events.iter().find(|event| event.id == push.event);
        let is_told = event.is_some_and(|event| {
            (&event.job_id, &event.kind, event.seq) == (&push.job, &push.kind, push.seq)
        });
        if !is_told || !push.is_genuine {
            wrongs.push(format!("the database knows {event:?}, and what came is {push:?}"));
        }
        let kept = history.outputs.iter().filter(|output| output.job_id == push.job);
        let kept: BTreeSet<&str> = kept.map(|output| output.sha256.as_str()).collect();
        let is_kept = push.hashes.iter().all(|hash| kept.contains(hash.as_str()));
        let is_deleted = history.told.deletes.contains(&push.job);
        if !is_kept && !is_deleted {
            wrongs.push(format!("{} told of outputs that are not those of the job", push.event));
        }
        if push.kind == "job.succeeded" && push.hashes.is_empty() {
            wrongs.push(format!("{} told of a success without outputs", push.event));
        }
    }
    wrongs
}

fn outputs_are_of_one_attempt(history: &History) -> Wrongs {
    let mut wrongs = Vec::new();
    let jobs = by_id(history);
    let mut attempts: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for output in &history.outputs {
        let attempt = output.key.strip_prefix(&format!("{}/", output.job_id));
        let attempt = attempt.and_then(|rest| rest.split('/').next()).unwrap_or("no attempt's");
        attempts.entry(&output.job_id).or_default().insert(attempt);
    }
    for (job, attempts) in &attempts {
        if attempts.len() > 1 || attempts.contains("no attempt's") {
            wrongs.push(format!("{job} has outputs of the attempts {attempts:?}"));
        }
        if !jobs.contains_key(job) {
            wrongs.push(format!("{job} has outputs and is not there"));
        }
    }
    for job in &history.jobs {
        let should_have = job.state == "succeeded" && !job.is_deleted;
        if attempts.contains_key(job.id.as_str()) != should_have {
            let has = if should_have { "has no outputs" } else { "has outputs" };
            wrongs.push(format!(
                "{} is {} (deleted: {}) and {has}",
                job.id, job.state, job.is_deleted
            ));
        }
    }
    wrongs
}

fn every_output_is_whole(history: &History) -> Wrongs {
    let mut wrongs = Vec::new();
    for output in &history.outputs {
        let object = history.objects.iter().find(|object| object.key == output.key);
        let is_whole = object
            .is_some_and(|object| (&object.sha256, object.size) == (&output.sha256, output.size));
        if !is_whole {
            wrongs.push(format!("the row says {output:?}, the storage has {object:?}"));
        }
    }
    wrongs
}

fn nothing_lies_about(history: &History) -> Wrongs {
    let known: BTreeSet<&str> = history.outputs.iter().map(|output| output.key.as_str()).collect();
    let unknown = history.objects.iter().filter(|object| !known.contains(object.key.as_str()));
    let unknown = unknown.map(|object| format!("{} belongs to no row", object.key));
    let unswept = history.garbage.iter().map(|prefix| format!("{prefix} was not swept"));
    unknown.chain(unswept).collect()
}

fn nothing_is_left(history: &History) -> Wrongs {
    let processes = history.processes.iter().map(|process| format!("process {process}"));
    let scratch = history.scratch.iter().map(|path| format!("file {path}"));
    let deaths = history.deaths.iter().map(|name| format!("{name} ended by itself"));
    processes.chain(scratch).chain(deaths).collect()
}

/// A worker that was lost three times, a storage that was away three times, a client that asked.
fn ends_are_explained(history: &History) -> Wrongs {
    let strange = history.jobs.iter().filter(|job| match job.state.as_str() {
        "failed" => {
            let is_known = matches!(job.error_kind.as_deref(), Some("poison" | "output_failed"));
            !is_known || job.attempt < 3
        }
        "cancelled" => {
            let Told { cancels, deletes, .. } = &history.told;
            !cancels.contains(&job.id) && !deletes.contains(&job.id)
        }
        _ => false,
    });
    strange
        .map(|job| {
            format!("{} {} with {:?} at attempt {}", job.id, job.state, job.error_kind, job.attempt)
        })
        .collect()
}

fn by_id(history: &History) -> BTreeMap<&str, &JobRow> {
    history.jobs.iter().map(|job| (job.id.as_str(), job)).collect()
}

#[cfg(test)]
mod tests;
