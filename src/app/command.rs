//! The commands that need settings, each composed here and run.

use std::sync::Arc;

use crate::cli::{
    CliError, DoctorConfig, OfKind, OneShot, ProbeArgs, Settled, ShowConfig, Terminal, run,
};
use crate::clock::SystemClock;
use crate::config::{self, Config, Flags, Purpose, Sources, shown};
use crate::telemetry::{self, Spans};

use super::examine;
use super::{App, Once, Role, Shutdown, open_store, webhook_secrets};

/// `reelway serve`.
///
/// # Errors
///
/// The settings are wrong, or a part cannot be started.
pub async fn serve(flags: &Flags) -> Result<(), CliError> {
    let (app, shutdown, spans) = open(flags, Role::Server).await?;
    let served = app.serve(shutdown).await;
    end(spans).await;
    served.map_err(|error| failed(&error))
}

/// `reelway worker`.
///
/// # Errors
///
/// The settings are wrong, or a part cannot be started.
pub async fn work(flags: &Flags) -> Result<(), CliError> {
    let (app, shutdown, spans) = open(flags, Role::Worker).await?;
    let worked = app.work(shutdown).await;
    end(spans).await;
    worked.map_err(|error| failed(&error))
}

/// A process that stays: with logs and traces, and an end when it is asked for.
async fn open(flags: &Flags, role: Role) -> Result<(App, Shutdown, Option<Spans>), CliError> {
    let purpose = if role == Role::Server { Purpose::Listen } else { Purpose::Other };
    let (config, _) = load(flags, purpose)?;
    let spans = telemetry::start(&config.log, config.traces.as_ref());
    let spans = spans.map_err(|error| failed(&error.into()))?;
    for stray in strays() {
        tracing::warn!("{stray}");
    }
    crate::metrics::start().map_err(|error| failed(&error.into()))?;
    let shutdown = Shutdown::default();
    let drain = config.worker.drain;
    shutdown.on_signals(drain).map_err(|error| failed(&error.into()))?;
    let app = App::open(config, role).await.map_err(|error| failed(&error))?;
    Ok((app, shutdown, spans))
}

/// After everything else has ended: that is in the trace too.
async fn end(spans: Option<Spans>) {
    if let Some(spans) = spans {
        spans.end().await;
    }
}

/// `reelway video`, `audio`, `image` and `animation`.
///
/// # Errors
///
/// What was typed cannot be meant, or the job fails.
pub async fn once<K: OfKind>(it: &Settled<OneShot<K>>, terminal: &Terminal) -> Result<(), CliError>
where
    OneShot<K>: clap::Args,
{
    let (config, _) = load(&it.settings, Purpose::Other)?;
    let engine = Once::open(&config).await?;
    engine.warnings().iter().for_each(|warning| terminal.say(warning));
    if it.args.print_command {
        return run::sketch(&it.args, terminal, async |sketch| engine.sketch(sketch).await).await;
    }
    run::once(&it.args, terminal, async |order| engine.make(order).await).await
}

/// `reelway probe`.
///
/// # Errors
///
/// The input cannot be had or is not media.
pub async fn probe(it: &Settled<ProbeArgs>, terminal: &Terminal) -> Result<(), CliError> {
    let (config, _) = load(&it.settings, Purpose::Other)?;
    let engine = Once::open(&config).await?;
    engine.warnings().iter().for_each(|warning| terminal.say(warning));
    run::probe(&it.args, terminal, async |source, stop| engine.probe(source, stop).await).await
}

/// `reelway doctor`.
///
/// # Errors
///
/// A check is bad.
pub async fn doctor(flags: &Flags, terminal: &Terminal) -> Result<(), CliError> {
    let (config, _) = load(flags, Purpose::Listen)?;
    run::doctor(&DoctorConfig::from(&config), examine::outside(&config), terminal).await
}

/// `reelway config check`.
///
/// # Errors
///
/// The settings are wrong; all of it is told.
pub fn check_config(flags: &Flags, terminal: &Terminal) -> Result<(), CliError> {
    load(flags, Purpose::Listen)?;
    for stray in strays() {
        terminal.say(&format!("warning: {stray}"));
    }
    terminal.line("the settings can be used")
}

/// The variables that somebody has probably set in vain.
fn strays() -> Vec<String> {
    let variables = std::env::vars_os();
    let texts = variables.filter_map(|(name, value)| {
        Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
    });
    config::strays(texts)
}

/// `reelway config show`.
///
/// # Errors
///
/// The settings are wrong, or the database with the generated secret cannot be opened.
pub async fn show_config(args: &ShowConfig, terminal: &Terminal) -> Result<(), CliError> {
    let (config, sources) = load(&args.settings, Purpose::Other)?;
    let mut text = shown(&sources, args.secrets);
    if args.secrets && config.webhook.secrets.is_empty() {
        let generated = generated_secret(&config).await.map_err(|error| failed(&error))?;
        let line = "made at the first start and kept  [default]";
        text = text.replace(line, &format!("{generated}  [made at the first start]"));
    }
    terminal.line(text.trim_end())
}

/// The server's own secret, made now if it was never started.
async fn generated_secret(config: &Config) -> anyhow::Result<String> {
    let store = open_store(config, Arc::new(SystemClock)).await?;
    let secrets = webhook_secrets(config, store.as_ref()).await?;
    store.close().await;
    Ok(secrets.newest().text().to_owned())
}

pub(super) fn load(flags: &Flags, purpose: Purpose) -> Result<(Config, Sources), CliError> {
    Config::load(flags, purpose).map_err(|problems| {
        let text = problems.to_string();
        let mut lines = text.lines().map(str::trim);
        let what = CliError::usage(lines.next().unwrap_or_default());
        lines.fold(what, CliError::detail)
    })
}

/// An error of composition with its causes.
pub(super) fn failed(error: &anyhow::Error) -> CliError {
    let causes = error.chain().skip(1).map(ToString::to_string);
    causes.fold(CliError::failed(error.to_string()), CliError::detail)
}
