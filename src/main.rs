//! `reelway`: one binary, each command one call.

use std::process::ExitCode;

use clap::Parser as _;
use reelway::app::{backup, command, restore, serve, work};
use reelway::cli::{self, Act, Cli, Command, ConfigCommand, Keys, Terminal, Webhooks, run};

#[tokio::main]
async fn main() -> ExitCode {
    let terminal = Terminal::detect();
    cli::end(match Cli::parse().command {
        Command::Serve(flags) => serve(&flags).await,
        Command::Worker(flags) => work(&flags).await,
        Command::Video(it) => command::once(&it, &terminal).await,
        Command::Audio(it) => command::once(&it, &terminal).await,
        Command::Image(it) => command::once(&it, &terminal).await,
        Command::Animation(it) => command::once(&it, &terminal).await,
        Command::Adaptive(it) => command::once(&it, &terminal).await,
        Command::Probe(it) => command::probe(&it, &terminal).await,
        Command::Submit(args) => run::submit(&args, &terminal).await,
        Command::Jobs(args) => run::jobs(&args, &terminal).await,
        Command::Watch(args) => run::watch(&args, &terminal).await,
        Command::Cancel(args) => run::act(Act::Cancel, &args, &terminal).await,
        Command::Retry(args) => run::act(Act::Retry, &args, &terminal).await,
        Command::Webhooks(Webhooks::Listen(args)) => run::listen(&args, &terminal).await,
        Command::Webhooks(Webhooks::Deliveries(args)) => run::deliveries(&args, &terminal).await,
        Command::Webhooks(Webhooks::Replay(args)) => run::replay(&args, &terminal).await,
        Command::Keys(Keys::Create(args)) => run::create_key(&args, &terminal).await,
        Command::Keys(Keys::List(args)) => run::list_keys(&args, &terminal).await,
        Command::Keys(Keys::Revoke(args)) => run::revoke_keys(&args, &terminal).await,
        Command::Share(args) => run::share(&args, &terminal).await,
        Command::Backup(it) => backup(&it, &terminal).await,
        Command::Restore(it) => restore(&it, &terminal).await,
        Command::Doctor(flags) => command::doctor(&flags, &terminal).await,
        Command::Config(ConfigCommand::Check(flags)) => command::check_config(&flags, &terminal),
        Command::Config(ConfigCommand::Show(args)) => command::show_config(&args, &terminal).await,
    })
}
