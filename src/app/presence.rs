//! A process says that it is there, and what is wrong, for whoever looks after the whole.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{App, Role};
use crate::config;
use crate::store::{Store, StoreResult, WorkerReport};
use crate::worker::DiskWatch;

/// How often it says so.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// Says what this process is, again and again, misses others that say nothing any more, and keeps
/// an eye on the disk.
pub(super) struct Presence {
    store: Arc<dyn Store>,
    report: WorkerReport,
    disk: DiskWatch,
}

impl App {
    pub(super) fn presence(&self) -> Presence {
        let config::Worker { slots, light_slots, .. } = self.config.worker;
        let works = self.works() && self.tools.is_some();
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let report = WorkerReport {
            id: self.worker_id,
            name: host(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ffmpeg: self.tools.as_ref().map(|tools| tools.version().to_owned()),
            containment: self.containment.as_ref().map(ToString::to_string),
            answers: self.role == Role::Server,
            heavy_slots: if works { slots } else { 0 },
            light_slots: if works { light_slots } else { 0 },
            load: None,
            processors: u32::try_from(processors).unwrap_or(u32::MAX),
            started_at: self.clock.now(),
        };
        let min_free_bytes = self.config.worker.min_free_disk_bytes;
        let disk = DiskWatch::new(&report.name, &self.config.data_dir, min_free_bytes);
        Presence { store: self.store.clone(), report, disk }
    }
}

impl Presence {
    /// Says so until `stop`, and goodbye then: work under way has its own leases. That it could not
    /// be said is no reason to stop anything.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        loop {
            if let Err(error) = self.say().await {
                let error = &error as &dyn std::error::Error;
                tracing::debug!(error, "nobody was told that this process is there");
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = sleep(SAY_EVERY) => {}
            }
        }
        if let Err(error) = self.store.say_goodbye(self.report.id).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "this process goes without a goodbye and will be missed");
        }
    }

    async fn say(&mut self) -> StoreResult<()> {
        self.report.load = load();
        self.store.report_worker(&self.report).await?;
        for lost in self.store.miss_workers().await? {
            tracing::warn!(
                worker = %lost.id, name = lost.name,
                "a process has said nothing for a while, and no goodbye"
            );
        }
        if let Some((disk, room)) = self.disk.look() {
            self.store.note_disk(&disk, room).await?;
            self.disk.note(room);
        }
        Ok(())
    }
}

/// What the machine is called.
fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "this machine".to_owned(),
        name => name.to_owned(),
    }
}

/// How many processes wanted to run in the last minute, where the system says so.
fn load() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    text.split(' ').next()?.parse().ok()
}
