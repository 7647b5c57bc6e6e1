use std::collections::HashMap;

use super::*;
use crate::store::sql::HintsFrom;

fn load(env: &[(&str, &str)]) -> Result<Config, String> {
    load_with(&Flags::default(), env)
}

fn load_with(flags: &Flags, env: &[(&str, &str)]) -> Result<Config, String> {
    let env: HashMap<&str, &str> = env.iter().copied().collect();
    Config::load_from(
        flags,
        &|name| env.get(name).map(|value| (*value).to_owned()),
        Purpose::Listen,
    )
    .map(|(config, _)| config)
    .map_err(|problems| problems.to_string())
}

fn is_at(database: &Database, path: &str) -> bool {
    matches!(database, Database::Sqlite(file) if file == Path::new(path))
}

#[test]
fn with_nothing_said_it_listens_on_loopback_and_keeps_everything_in_data() {
    let config = load(&[]).expect("defaults are valid");
    assert_eq!(config.http.bind.to_string(), "127.0.0.1:3000");
    assert!(is_at(&config.database, "./data/reelway.db"), "{:?}", config.database);
    assert_eq!(config.storage.to_string(), "./data/files");
    assert!(!config.keyring.can_seal());
    assert!(config.worker.slots >= 1);
}

#[test]
fn a_port_from_the_platform_opens_the_bind_and_then_needs_a_key() {
    let error = load(&[("PORT", "8080")]).expect_err("no key");
    assert!(error.contains("REELWAY_API_KEY"), "{error}");
    let config = load(&[("PORT", "8080"), ("REELWAY_API_KEY", "0123456789")]).expect("with a key");
    assert_eq!(config.http.bind.to_string(), "[::]:8080");
    let config = load(&[("PORT", "8080"), ("REELWAY_BIND", "127.0.0.1")]).expect("loopback");
    assert_eq!(config.http.bind.to_string(), "127.0.0.1:8080");
}

#[test]
fn a_port_from_the_platform_asks_for_no_key_where_nobody_listens() {
    let env = |name: &str| (name == "PORT").then(|| "8080".to_owned());
    assert!(Config::load_from(&Flags::default(), &env, Purpose::Other).is_ok());
}

#[test]
fn a_flag_wins_over_the_environment_and_does_not_open_the_bind() {
    let flags = Flags { file: None, values: [("port", "4000".to_owned())].into() };
    let config = load_with(&flags, &[("PORT", "8080")]).expect("valid");
    assert_eq!(config.http.bind.to_string(), "127.0.0.1:4000");
}

#[test]
fn the_platform_names_the_public_url_and_the_volume() {
    let config = load(&[
        ("RAILWAY_PUBLIC_DOMAIN", "media.up.railway.app"),
        ("RAILWAY_VOLUME_MOUNT_PATH", "/volume"),
    ])
    .expect("valid");
    let public_url = config.http.public_url.expect("a URL");
    assert_eq!(public_url.as_str(), "https://media.up.railway.app/");
    assert!(is_at(&config.database, "/volume/reelway.db"), "{:?}", config.database);
}

#[test]
fn all_problems_are_told_together_with_their_sources() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("reelway.toml");
    std::fs::write(&path, "prot = 3000\nslots = 0\nallow_networks = [\"10.0.0.0/8\", \"home\"]\n")
        .expect("a file");
    let flags = Flags { file: Some(path), values: [("drain", "soon".to_owned())].into() };
    let error = load_with(
        &flags,
        &[
            ("PORT", "70000"),
            ("DATABASE_URL", "mysql://db"),
            ("REELWAY_STORAGE", "ftp://files"),
            ("REELWAY_MAX_INPUT_SIZE", "big"),
            ("REELWAY_LINK_LIFE", "30days"),
            ("REELWAY_WEBHOOK_URL", "example.com"),
            ("REELWAY_API_KEY", "short"),
            ("REELWAY_LOG_FORMAT", "xml"),
            ("REELWAY_PUBLIC_URL_TEMPLATE", "https://cdn.example.com/"),
            ("REELWAY_SECRET_KEY", "my secret"),
        ],
    )
    .expect_err("many things are wrong");
    insta::with_settings!({filters => vec![(folder.path().to_str().expect("text"), "")]}, {
        insta::assert_snapshot!(error);
    });
}

#[test]
fn secrets_are_hidden_unless_asked_for() {
    let env = |name: &str| (name == "REELWAY_API_KEY").then(|| "a-secret-key".to_owned());
    let (_, sources) = Config::load_from(&Flags::default(), &env, Purpose::Listen).expect("valid");
    assert!(!shown(&sources, false).contains("a-secret-key"));
    assert!(shown(&sources, true).contains("a-secret-key"));
}

#[test]
fn a_postgres_url_makes_a_shared_database_and_its_password_is_not_shown() {
    let url = "postgres://app:hunter2-secret@db.internal:5433/media";
    let config = load(&[("DATABASE_URL", url), ("REELWAY_DATABASE_DIRECT_URL", "none")]);
    let Database::Postgres(settings) = config.expect("valid").database else { panic!("postgres") };
    assert_eq!((settings.server.get_host(), settings.server.get_port()), ("db.internal", 5433));
    assert!(matches!(settings.hints, HintsFrom::PollAlone));
    let env = |name: &str| (name == "DATABASE_URL").then(|| url.to_owned());
    let (_, sources) = Config::load_from(&Flags::default(), &env, Purpose::Listen).expect("valid");
    let shown = shown(&sources, false);
    assert!(shown.contains("postgres://app:…@db.internal:5433/media"), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
    let error = load(&[("DATABASE_URL", "postgres://app:hunter2-secret@:x/media")]);
    let error = error.expect_err("no such port");
    assert!(error.contains("DATABASE_URL") && !error.contains("hunter2"), "{error}");
}

#[test]
fn buckets_of_three_clouds_are_reached_with_their_own_variables() {
    let s3 = load(&[
        ("REELWAY_STORAGE", "s3://media/made/"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9000"),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "a-secret-key"),
    ])
    .expect("S3");
    assert_eq!(s3.storage.to_string(), "s3://media/made");
    assert!(!format!("{s3:?}").contains("a-secret-key"));
    let account =
        r#"{"client_email": "a", "private_key": "", "private_key_id": "", "disable_oauth": true}"#;
    let gcs = load(&[("REELWAY_STORAGE", "gs://media"), ("GOOGLE_SERVICE_ACCOUNT_KEY", account)]);
    assert_eq!(gcs.expect("GCS").storage.to_string(), "gs://media");
    let azure = load(&[
        ("REELWAY_STORAGE", "az://media/made"),
        ("AZURE_STORAGE_ACCOUNT_NAME", "account"),
        ("AZURE_STORAGE_ACCOUNT_KEY", "YS1zZWNyZXQta2V5"),
    ]);
    assert_eq!(azure.expect("Azure").storage.to_string(), "az://media/made");
}

#[test]
fn a_bucket_that_cannot_be_reached_as_said_is_told_with_all_its_problems() {
    let told = |env: &[(&str, &str)]| load(env).expect_err("it cannot be used");
    let s3 = told(&[
        ("REELWAY_STORAGE", "s3://media"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9000"),
        ("AWS_SECRET_ACCESS_KEY", "a-secret-key"),
    ]);
    let azure = told(&[("REELWAY_STORAGE", "az://media")]);
    let gcs = told(&[
        ("REELWAY_STORAGE", "gs://media"),
        ("GOOGLE_SERVICE_ACCOUNT_KEY", "{\"private_key\": 7}"),
    ]);
    let no_bucket = told(&[("REELWAY_STORAGE", "s3://media/../other")]);
    insta::assert_snapshot!([s3, azure, gcs, no_bucket].join("\n"));
}

#[test]
fn secrets_of_clouds_are_hidden_too() {
    let env = |name: &str| match name {
        "REELWAY_STORAGE" => Some("s3://media".to_owned()),
        "AWS_ACCESS_KEY_ID" => Some("AKIA".to_owned()),
        "AWS_SECRET_ACCESS_KEY" => Some("a-secret-key".to_owned()),
        _ => None,
    };
    let (_, sources) = Config::load_from(&Flags::default(), &env, Purpose::Listen).expect("valid");
    let hidden = shown(&sources, false);
    assert!(hidden.contains("AKIA") && !hidden.contains("a-secret-key"), "{hidden}");
    assert!(shown(&sources, true).contains("a-secret-key"));
}

#[test]
fn the_reference_page_is_the_table() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/config.md");
    if std::env::var_os("REELWAY_UPDATE_DOCS").is_some() {
        std::fs::write(&page, reference()).expect("docs/config.md can be written");
    }
    assert_eq!(
        std::fs::read_to_string(&page).unwrap_or_default(),
        reference(),
        "docs/config.md is not of this version: REELWAY_UPDATE_DOCS=1 cargo test reference_page"
    );
}

const PROVIDER_KEY: (&str, &str) = ("ITTYBIT_API_KEY", "a-key-of-this-server");
const PUBLIC: (&str, &str) = ("REELWAY_PUBLIC_URL", "https://media.example.com");

#[test]
fn a_providers_key_chooses_the_engine_unless_somebody_says_otherwise() {
    let local = load(&[]).expect("valid");
    assert_eq!((local.engine, local.provider.is_some()), (Engine::Local, false));
    let handing = load(&[PROVIDER_KEY, PUBLIC]).expect("valid");
    assert_eq!(handing.engine, Engine::Ittybit);
    let provider = handing.provider.expect("a provider");
    assert_eq!(provider.api_url.as_str(), "https://api.ittybit.com/");
    assert_eq!(provider.ask_after, Duration::from_secs(30));
    let back = load(&[PROVIDER_KEY, ("REELWAY_ENGINE", "local")]).expect("valid");
    assert_eq!((back.engine, back.provider.is_some()), (Engine::Local, true));
}

#[test]
fn an_engine_without_its_key_and_a_word_that_is_none_are_told() {
    let error = load(&[("REELWAY_ENGINE", "ittybit"), PUBLIC]).expect_err("no key");
    assert!(error.contains("ITTYBIT_API_KEY"), "{error}");
    let error = load(&[("REELWAY_ENGINE", "cloud")]).expect_err("no engine");
    assert!(error.contains("neither local nor ittybit"), "{error}");
    let error = load(&[PROVIDER_KEY, PUBLIC, ("ITTYBIT_ASK_AFTER", "0s")]).expect_err("too often");
    assert!(error.contains("ITTYBIT_ASK_AFTER"), "{error}");
}

#[test]
fn a_provider_elsewhere_must_find_the_way_back() {
    let error = load(&[PROVIDER_KEY]).expect_err("only loopback");
    assert!(error.contains("public_url") && error.contains("REELWAY_PUBLIC_URL"), "{error}");
    for (api, public, is_well) in [
        ("https://api.ittybit.com", "http://localhost:3000", false),
        ("https://api.ittybit.com", "http://[::1]:3000", false),
        ("https://api.ittybit.com", "http://0.0.0.0:3000", false),
        ("https://api.ittybit.com", "https://media.example.com", true),
        ("http://127.0.0.1:4000", "http://127.0.0.1:3000", true),
        ("http://10.0.0.7", "http://10.0.0.8:3000", true),
    ] {
        let settings = [PROVIDER_KEY, ("ITTYBIT_API_URL", api), ("REELWAY_PUBLIC_URL", public)];
        assert_eq!(load(&settings).is_ok(), is_well, "{api} {public}");
    }
    let open = [PROVIDER_KEY, ("PORT", "8080"), ("REELWAY_API_KEY", "0123456789")];
    let error = load(&open).expect_err("bound to all addresses, and which is it?");
    assert!(error.contains("REELWAY_PUBLIC_URL"), "{error}");
    let one_shot = Config::load_from(
        &Flags::default(),
        &|name| (name == PROVIDER_KEY.0).then(|| PROVIDER_KEY.1.to_owned()),
        Purpose::Other,
    );
    assert!(one_shot.is_ok(), "commands that make one file here ask for nothing");
}
