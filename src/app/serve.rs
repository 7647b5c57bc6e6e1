//! Running: what starts, what stops, and in which order.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::listen::Listening;
use super::work::Workers;
use super::{App, Containment, SESSION_SECRET, Shutdown};
use crate::claim::Rescuer;
use crate::cli::Terminal;
use crate::config;
use crate::dashboard::{self, Desk, Tester};
use crate::metrics;
use crate::provider::Inbox;
use crate::request::{
    self, AppParts, AppState, Auth, MayReach, RateLimits, Readiness, ReadinessProbe, RequestLimits,
    TrustedProxies,
};
use crate::task::{Lane, RetryPolicy};
use crate::webhook::Secret;
use crate::worker::Sweeper;

/// How long clients have to take their answers after the end was asked for.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

impl App {
    /// Listens, works and delivers until `shutdown`.
    ///
    /// # Errors
    ///
    /// The address cannot be listened on, or a part cannot be started.
    pub async fn serve(self, shutdown: Shutdown) -> anyhow::Result<()> {
        let bind = self.config.http.bind;
        let listener = TcpListener::bind(bind).await.with_context(|| {
            format!("{bind} cannot be listened on; choose another port with PORT or --port")
        })?;
        let address = listener.local_addr()?;
        let public_url = match &self.config.http.public_url {
            Some(url) => url.clone(),
            None => Url::parse(&format!("http://{address}"))?,
        };
        let recovered = self.store.recover().await?;
        let reconciler = self.reconciler(&public_url)?;
        let workers =
            if self.works() { Some(Workers::start(&self, &public_url, &shutdown)?) } else { None };
        let mut agents = self.agents(&public_url, &shutdown);
        if let Some(reconciler) = reconciler {
            let stop = shutdown.soft().clone();
            agents.spawn(async move { reconciler.run(stop).await });
        }
        tracing::info!(
            %address, %public_url, recovered, engine = self.engine_name(),
            ffmpeg = self.tools.as_ref().map(ffmpeg::Tools::version),
            containment = self.containment.as_ref().map(tracing::field::display),
            slots = self.config.worker.slots, "reelway is ready"
        );

        if self.nobody_works() {
            tracing::warn!(
                "nobody works: no worker is here, and a SQLite file is shared with no other; jobs \
                 wait until the server is started with workers"
            );
        }
        self.tell_metrics();
        greet(&format!("http://{address}"))?;
        let state = self.state(&public_url, self.inbox()?, shutdown.soft());
        let secret = self.store.secret(SESSION_SECRET, Secret::generate().text()).await?;
        let deliverer = self.deliverer(self.links(&public_url));
        let tester = Tester::new(move |url| {
            let deliverer = deliverer.clone();
            Box::pin(async move { deliverer.test(&url).await })
        });
        let desk = Desk::new(secret.into(), state.limits.max_event_streams, tester);
        self.answer(listener, state, desk, &shutdown).await;
        if let Some(workers) = workers {
            workers.end(&shutdown).await?;
        }
        agents.join_all().await;
        self.store.close().await;
        tracing::info!("ended");
        Ok(())
    }

    /// The loops beside the work; each ends by itself when the soft end is asked for.
    fn agents(&self, public_url: &Url, shutdown: &Shutdown) -> JoinSet<()> {
        let stop = || shutdown.soft().clone();
        let (store, storage, clock) = (&self.store, &self.storage, &self.clock);
        let rescuer = Rescuer { store: store.clone(), policy: RetryPolicy::default() };
        let deliverer = self.deliverer(self.links(public_url));
        let sweeper = Sweeper {
            store: store.clone(),
            storage: storage.clone(),
            retention: self.config.retention,
            clock: clock.clone(),
        };

        let mut agents = JoinSet::new();
        let (rescuing, delivering, sweeping, counting) = (stop(), stop(), stop(), stop());
        agents.spawn(async move { rescuer.run(rescuing).await });
        agents.spawn(async move { deliverer.run(delivering).await });
        agents.spawn(async move { sweeper.run(sweeping).await });
        agents.spawn(async move { metrics::keep_up(counting).await });
        let (presence, telling) = (self.presence(), stop());
        agents.spawn(async move { presence.run(telling).await });
        agents
    }

    /// Answers requests until the soft end and the time after it in which balancers notice, and lets
    /// those under way come to theirs.
    async fn answer(
        &self,
        listener: TcpListener,
        state: AppState,
        desk: Desk,
        shutdown: &Shutdown,
    ) {
        let linger = self.config.http.linger;
        let pages = dashboard::routes(&state, desk);
        let router = request::router_with(state, pages);
        let listening = Listening::up_to(self.config.http.max_connections);
        let end = CancellationToken::new();
        let served = listening.listen(listener, router, shutdown.soft().clone(), end.clone());
        let bounded = async {
            shutdown.soft().cancelled().await;
            tokio::select! {
                () = tokio::time::sleep(linger) => {}
                () = shutdown.hard().cancelled() => {}
            }
            end.cancel();
            tokio::time::sleep(LAST_ANSWERS).await;
        };
        tokio::select! {
            () = served => {}
            () = bounded => tracing::warn!("some clients did not take their answers"),
        }
    }

    pub(super) fn state(
        &self,
        public_url: &Url,
        inbox: Option<Inbox>,
        shutdown: &CancellationToken,
    ) -> AppState {
        AppState::from(AppParts {
            store: self.store.clone(),
            storage: self.storage.clone(),
            uploads: self.uploads(),
            public_url: public_url.clone(),
            links: self.links(public_url),
            clock: self.clock.clone(),
            may_reach: self.may_reach(),
            provider: inbox,
            auth: Auth::new(&self.config.http.api_keys),
            rates: RateLimits::new(self.config.http.rates),
            proxies: TrustedProxies::new(self.config.http.trusted_proxies.iter().copied()),
            keyring: self.config.keyring.clone(),
            limits: RequestLimits {
                max_queued: self.config.http.max_queued,
                ..RequestLimits::default()
            },
            default_webhook_url: self.config.webhook.url.clone(),
            cors_origins: self.config.http.cors_origins.clone(),
            readiness: self.readiness(),
            shutdown: shutdown.clone(),
        })
    }
}

impl App {
    /// What does not change as long as the process lives.
    pub(super) fn tell_metrics(&self) {
        let ffmpeg = self.tools.as_ref().map_or("none", ffmpeg::Tools::version);
        metrics::BUILD_INFO.set(1.0, &[env!("CARGO_PKG_VERSION"), ffmpeg, self.engine_name()]);
        if let Some(containment) = &self.containment {
            metrics::SANDBOX_LEVEL.set(containment.number(), &[]);
        }
        let slots = (self.readiness())().slots;
        metrics::SLOTS.set(slots.heavy.into(), &[Lane::Heavy.name()]);
        metrics::SLOTS.set(slots.light.into(), &[Lane::Light.name()]);
    }

    fn may_reach(&self) -> MayReach {
        let guard = self.guard.clone();
        Arc::new(move |address| guard.permits(address))
    }

    fn readiness(&self) -> ReadinessProbe {
        let config::Worker { slots, light_slots, .. } = self.config.worker;
        let readiness = Readiness {
            ffmpeg: self.tools.as_ref().map(|tools| tools.version().to_owned()),
            containment: self.containment.as_ref().map(|found| found.level().to_string()),
            layers: self.containment.as_ref().map(Containment::layers).unwrap_or_default(),
            // Where a provider makes the jobs, this process works on none.
            slots: if self.works() && self.tools.is_some() {
                request::Slots { heavy: slots, light: light_slots }
            } else {
                request::Slots::default()
            },
        };
        Arc::new(move || readiness.clone())
    }
}

/// Says on standard output where it listens: words for a person, a JSON line for a program.
fn greet(url: &str) -> anyhow::Result<()> {
    let terminal = Terminal::detect();
    let told = if terminal.is_read_by_a_person() {
        terminal.line(&format!("Reelway listens on {url} (Ctrl-C ends it)"))
    } else {
        terminal.json(&serde_json::json!({"listening": url}))
    };
    told.map_err(|error| anyhow::anyhow!("{error}"))
}
