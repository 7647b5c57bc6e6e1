//! How much memory the programs of a process may take together.

use crate::config;
use crate::metrics;
use crate::task::Lane;
use crate::worker::{Admission, free_memory_bytes};

/// As the settings say, else what is free now without what is to stay free; no limit where nobody
/// can tell.
pub(super) fn of(settings: &config::Worker) -> Admission {
    let free = || Some(free_memory_bytes()?.saturating_sub(settings.min_free_memory_bytes));
    let bytes = match settings.memory_bytes {
        Some(0) => None,
        said => said.or_else(free),
    };
    for lane in Lane::ALL {
        metrics::TASKS_WAITING_FOR_MEMORY.set(0.0, &[lane.name()]);
    }
    let slots = [(Lane::Heavy, settings.slots), (Lane::Light, settings.light_slots)];
    let lanes = slots.into_iter().filter(|(_, slots)| *slots > 0).map(|(lane, _)| lane);
    let admission = bytes
        .map_or_else(Admission::default, |bytes| Admission::of(bytes, &lanes.collect::<Vec<_>>()));
    let memory = admission.whole().map(tracing::field::display);
    tracing::info!(memory, "programs begin where there is memory for them");
    admission
}
