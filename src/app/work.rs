//! Working: claims, their heart, and their end.

use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use super::listen::Listening;
use super::{App, Shutdown};
use crate::claim::{Claimer, Heart, Interrupt, Perform, Rescuer, Slots, Terms};
use crate::config;
use crate::metrics;
use crate::request;
use crate::task::{Kind, RetryPolicy};
use crate::worker::{Scratch, When};

/// How long work has to come to its end once it was told to stop: SIGTERM, SIGKILL, and the
/// writing of it.
const LAST_WORK: Duration = Duration::from_secs(10);

/// How many jobs a process hands to the provider at once.
const DISPATCHES: u32 = 8;

/// How many connections may ask for the health of a process that answers nothing else.
const HEALTH_CONNECTIONS: usize = 64;

/// How often is looked for what workers beside this one left behind.
const SWEEP_SCRATCH: Duration = Duration::from_mins(10);

impl App {
    /// Works until `shutdown`, and answers nobody but health checks.
    ///
    /// # Errors
    ///
    /// A part cannot be started.
    pub async fn work(self, shutdown: Shutdown) -> anyhow::Result<()> {
        let public_url = self.public_url_of_worker()?;
        let workers = Workers::start(&self, &public_url, &shutdown)?;
        let rescuer = Rescuer { store: self.store.clone(), policy: RetryPolicy::default() };
        let stop = shutdown.soft().clone();
        let rescuing = tokio::spawn(async move { rescuer.run(stop).await });
        let (presence, stop) = (self.presence(), shutdown.soft().clone());
        let telling = tokio::spawn(async move { presence.run(stop).await });
        let end_of_health = CancellationToken::new();
        let health = self.answer_health(&public_url, &shutdown, &end_of_health).await?;
        tracing::info!(
            engine = self.engine_name(),
            ffmpeg = self.tools.as_ref().map(ffmpeg::Tools::version),
            containment = self.containment.as_ref().map(tracing::field::display),
            slots = self.config.worker.slots,
            light_slots = self.config.worker.light_slots,
            "the worker is ready"
        );
        self.tell_metrics();
        let counting = tokio::spawn(metrics::keep_up(shutdown.soft().clone()));
        shutdown.soft().cancelled().await;
        workers.end(&shutdown).await?;
        rescuing.await.context("the rescuer")?;
        telling.await.context("the word that this worker is there")?;
        counting.await.context("the metrics")?;
        // Last: a platform that finds nobody there would kill a worker that drains.
        end_of_health.cancel();
        if let Some(health) = health {
            health.await.context("the health checks")?;
        }
        self.store.close().await;
        tracing::info!("ended");
        Ok(())
    }

    /// Answers `/healthz` and `/readyz` where the settings say so, until `end`.
    async fn answer_health(
        &self,
        public_url: &Url,
        shutdown: &Shutdown,
        end: &CancellationToken,
    ) -> anyhow::Result<Option<JoinHandle<()>>> {
        let Some(port) = self.config.worker.health_port else { return Ok(None) };
        let address = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
        let listener = TcpListener::bind(address).await.with_context(|| {
            format!("health checks cannot listen on port {port}; choose another with REELWAY_HEALTH_PORT")
        })?;
        let router = request::health_router(self.state(public_url, None, shutdown.soft()));
        let listening = Listening::up_to(HEALTH_CONNECTIONS);
        let (leave, stop) = (shutdown.soft().clone(), end.clone());
        Ok(Some(tokio::spawn(listening.listen(listener, router, leave, stop))))
    }
}

/// Removes, from time to time, what workers beside this one left behind when they were killed.
async fn sweep_scratch(scratch: Arc<Scratch>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(SWEEP_SCRATCH) => {}
        }
        // It waits for a lock and removes whole folders: not on a thread that others need.
        let sweeping = scratch.clone();
        match tokio::task::spawn_blocking(move || sweeping.sweep_others()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "work left behind cannot be looked for"),
            Err(error) => tracing::error!(%error, "the sweep of work left behind was lost"),
        }
    }
}

/// What this process may take.
fn terms(config: &config::Config) -> Terms {
    let worker = &config.worker;
    // Whose database is a file is alone with it: nobody is there to ask for help, or to be helped.
    let has_others = matches!(config.database, config::Database::Postgres(_));
    let is_cut = match worker.cutting.when {
        When::Always => true,
        When::Helped => has_others,
        When::Never => false,
    };
    Terms {
        kinds: worker.kinds.clone(),
        per_owner: worker.max_running_per_key,
        companions: worker.max_together - 1,
        pieces: is_cut && worker.kinds.contains(&Kind::Video),
    }
}

/// How many jobs are handed to the provider at once, in each lane that has any slots here.
fn dispatches(worker: &config::Worker) -> Slots {
    let room = |slots: u32| if slots == 0 { 0 } else { DISPATCHES };
    Slots::new(room(worker.slots), room(worker.light_slots))
}

/// Claims for `perform` until the soft end.
fn claim<P: Perform>(
    app: &App,
    perform: P,
    slots: Slots,
    terms: Terms,
    heart: &Arc<Heart>,
    tracker: &TaskTracker,
    shutdown: &Shutdown,
) -> JoinHandle<()> {
    let claimer = Claimer {
        store: app.store.clone(),
        worker: app.worker_id,
        slots,
        terms,
        heart: heart.clone(),
        perform: Arc::new(perform),
        tracker: tracker.clone(),
    };
    let soft = shutdown.soft().clone();
    tokio::spawn(async move { claimer.run(soft).await })
}

/// The work of this process.
pub(super) struct Workers {
    heart: Arc<Heart>,
    tracker: TaskTracker,
    claiming: JoinHandle<()>,
    beating: JoinHandle<()>,
    last_beat: CancellationToken,
}

impl Workers {
    pub(super) fn start(app: &App, public_url: &Url, shutdown: &Shutdown) -> anyhow::Result<Self> {
        let heart = Heart::new(app.store.clone(), app.clock.clone());
        let tracker = TaskTracker::new();
        let last_beat = CancellationToken::new();
        let settings = &app.config.worker;
        let claiming = if let Some(tools) = &app.tools {
            let worker = app.worker(tools, app.links(public_url))?;
            let (scratch, stop) = (worker.scratch.clone(), shutdown.soft().clone());
            tokio::spawn(async move { sweep_scratch(scratch, stop).await });
            let slots = Slots::new(settings.slots, settings.light_slots);
            claim(app, worker, slots, terms(&app.config), &heart, &tracker, shutdown)
        } else {
            let dispatcher = app.dispatcher(public_url)?;
            // Each is a request of its own.
            let terms = Terms { companions: 0, pieces: false, ..terms(&app.config) };
            claim(app, dispatcher, dispatches(settings), terms, &heart, &tracker, shutdown)
        };
        let (beat, end) = (heart.clone(), last_beat.clone());
        let beating = tokio::spawn(async move { beat.run(end).await });
        Ok(Self { heart, tracker, claiming, beating, last_beat })
    }

    /// Waits for the work under way, with its heart beating; at the hard end it is handed back.
    pub(super) async fn end(self, shutdown: &Shutdown) -> anyhow::Result<()> {
        // A claim that is being made when the end comes still becomes work.
        self.claiming.await.context("the claimer")?;
        self.tracker.close();
        tokio::select! {
            () = self.tracker.wait() => {}
            () = shutdown.hard().cancelled() => {
                self.heart.interrupt_all(Interrupt::Shutdown);
                if timeout(LAST_WORK, self.tracker.wait()).await.is_err() {
                    tracing::error!("some work did not stop; its leases will run out");
                }
            }
        }
        self.last_beat.cancel();
        self.beating.await.context("the heart")
    }
}
