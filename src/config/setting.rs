//! The table of settings: each one's name, default and meaning, once.
//!
//! The command line's flags, the environment, `reelway.toml`, `config show` and
//! `docs/config.md` are all made from [`SETTINGS`].

/// One setting.
#[derive(Debug)]
pub struct Setting {
    /// Its key in `reelway.toml`; with dashes for underscores its flag.
    pub key: &'static str,
    /// The environment variables that set it, the first that is set wins.
    pub env: &'static [&'static str],
    /// Its value when nobody says anything, in words if it is computed; empty for none.
    pub default: &'static str,
    /// How a value looks.
    pub shape: &'static str,
    /// What it does.
    pub help: &'static str,
    /// Whether its value is shown to nobody who did not ask.
    pub secret: bool,
}

macro_rules! settings {
    ($($key:ident, $env:expr, $default:literal, $shape:literal, $help:literal $(, $secret:ident)?;)+) => {
        /// Every setting, in the order in which people read them.
        pub const SETTINGS: &[Setting] = &[$(Setting {
            key: stringify!($key),
            env: &$env,
            default: $default,
            shape: $shape,
            help: $help,
            secret: settings!(@secret $($secret)?),
        }),+];
    };
    (@secret secret) => { true };
    (@secret) => { false };
}

settings! {
    port, ["PORT"], "3000", "PORT",
        "Port to listen on; 0 takes any free one. Set in the environment, it opens the server to all addresses";
    bind, ["REELWAY_BIND"], "127.0.0.1, or [::] when PORT is set in the environment", "IP",
        "Address to listen on; any but a loopback address needs an API key";
    api_key, ["REELWAY_API_KEY"], "", "KEY[,KEY…]",
        "Keys that clients send as `Authorization: Bearer KEY`; without one only loopback is served", secret;
    public_url, ["REELWAY_PUBLIC_URL"], "https://$RAILWAY_PUBLIC_DOMAIN, or the address listened on", "URL",
        "How clients reach this server: the beginning of links to outputs";
    cors_origins, ["REELWAY_CORS_ORIGINS"], "", "ORIGIN[,ORIGIN…]",
        "Whose pages may call this server from a browser, such as https://app.example.com; none when not said";
    trusted_proxies, ["REELWAY_TRUSTED_PROXIES"], "", "CIDR[,CIDR…]",
        "Proxies whose X-Forwarded-For says where a request comes from, such as 10.0.0.0/8; else it comes from the other end of its connection";
    max_requests_per_key, ["REELWAY_MAX_REQUESTS_PER_KEY"], "6000", "NUMBER",
        "How many requests a minute each process takes of one API key before it answers 429; 0 sets no limit";
    max_refused_per_address, ["REELWAY_MAX_REFUSED_PER_ADDRESS"], "120", "NUMBER",
        "How many requests a minute without a good key each process answers with 401 to one address, then with 429; 0 sets no limit";
    data_dir, ["REELWAY_DATA_DIR", "RAILWAY_VOLUME_MOUNT_PATH"], "./data", "FOLDER",
        "Where the database, local outputs and work in progress are kept";
    database_url, ["DATABASE_URL"], "sqlite://{data_dir}/reelway.db", "URL",
        "Where jobs are kept: a SQLite file, or postgres://… for many processes";
    database_direct_url, ["REELWAY_DATABASE_DIRECT_URL"], "DATABASE_URL", "URL|none",
        "The way to Postgres around a pooler, for LISTEN; `none` polls alone";
    database_connections, ["REELWAY_DATABASE_CONNECTIONS"], "10", "NUMBER",
        "How many connections to Postgres this process may have open";
    storage, ["REELWAY_STORAGE"], "file://{data_dir}/files", "URL",
        "Where outputs are kept: file:///folder, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix";
    link_life, ["REELWAY_LINK_LIFE"], "24h", "DURATION",
        "How long a link to an output works, at most 7 days; every answer has fresh ones";
    public_url_template, ["REELWAY_PUBLIC_URL_TEMPLATE"], "", "URL",
        "Where outputs are public, such as https://cdn.example.com/{key}; links lead there and have no end";
    secret_key, ["REELWAY_SECRET_KEY"], "", "KEY[,KEY…]",
        "Seals the secrets of connections: 32 bytes in hex or base64; several while keys rotate, the first seals", secret;
    webhook_url, ["REELWAY_WEBHOOK_URL"], "", "URL",
        "Where the end of a job is pushed to when the job names no webhook_url";
    webhook_secret, ["REELWAY_WEBHOOK_SECRET"], "made at the first start and kept", "SECRET[,SECRET…]",
        "Signs webhooks (whsec_…); several, comma separated, while keys rotate", secret;
    operations_url, ["REELWAY_OPERATIONS_URL"], "", "URL",
        "Where whoever runs the server is told of what needs a person; the same for servers and workers";
    engine, ["REELWAY_ENGINE"], "local, or ittybit when ITTYBIT_API_KEY is set", "local|ittybit",
        "Who makes the jobs: this server's workers, or a provider that speaks the API of Ittybit";
    ittybit_api_key, ["ITTYBIT_API_KEY"], "", "KEY",
        "This server's key at the provider", secret;
    ittybit_api_url, ["ITTYBIT_API_URL"], "https://api.ittybit.com", "URL",
        "Where the provider's API begins; jobs are sent to {ittybit_api_url}/jobs";
    ittybit_webhook_secret, ["ITTYBIT_WEBHOOK_SECRET"], "", "SECRET[,SECRET…]",
        "Signs the provider's webhooks to /webhooks/ittybit; without one they are only a reason to ask it", secret;
    ittybit_ask_after, ["ITTYBIT_ASK_AFTER"], "30s", "DURATION",
        "How long a job may be at the provider without a word before the provider is asked";
    allow_networks, ["REELWAY_ALLOW_NETWORKS"], "", "CIDR[,CIDR…]",
        "Private networks that inputs and webhooks may reach; for development 127.0.0.0/8,::1/128";
    no_workers, ["REELWAY_NO_WORKERS"], "false", "true|false",
        "Whether `serve` leaves the work to `reelway worker` processes";
    slots, ["REELWAY_SLOTS"], "half the processors, at least 1", "NUMBER",
        "How many videos, audio files and animations are made at once; 0 makes none here";
    light_slots, ["REELWAY_LIGHT_SLOTS"], "2", "NUMBER",
        "How many images are made at once, beside the others; 0 makes none here";
    kinds, ["REELWAY_KINDS"], "all of them", "KIND[,KIND…]",
        "Which kinds of jobs are worked on here: video, audio, image, animation, adaptive_video, probe, import, export";
    threads, ["REELWAY_THREADS"], "the processors, shared among the tasks at work; 1 for a thumbnail", "NUMBER",
        "How many threads each decoder and encoder may use; commands that make one file leave it to ffmpeg";
    memory, ["REELWAY_MEMORY"], "what is free at the start, less `min_free_memory`", "SIZE",
        "How much memory all ffmpeg of this process may use together: a task waits until what it needs is there; 0 sets no limit";
    max_together, ["REELWAY_MAX_TOGETHER"], "4", "NUMBER",
        "How many videos of one input that wait are made by one ffmpeg, which decodes it once, 16 at most; 1 makes each alone";
    pieces, ["REELWAY_PIECES"], "auto", "auto|always|never",
        "Whether a long video is cut and made by all workers that have a free slot: where another process has one, always, or never";
    piece_secs, ["REELWAY_PIECE_SECS"], "30", "SECONDS",
        "How long such a piece is at least, 1 to 3600, and the last ones half of it; a video twice as long is cut";
    max_running_per_key, ["REELWAY_MAX_RUNNING_PER_KEY"], "", "NUMBER",
        "How many tasks of one API key run at the same time, in all workers together";
    health_port, ["REELWAY_HEALTH_PORT"], "", "PORT",
        "Where `reelway worker` answers /healthz and /readyz, on all addresses; it listens nowhere else";
    linger, ["REELWAY_LINGER"], "0s", "DURATION",
        "How long `serve` still takes requests after SIGTERM while /readyz says 503: until every balancer has noticed";
    drain, ["REELWAY_DRAIN"], "25s", "DURATION",
        "How long running work may go on after SIGTERM before it is handed back";
    task_timeout, ["REELWAY_TASK_TIMEOUT"], "6h", "DURATION",
        "How long one ffmpeg may run";
    max_ffmpeg_memory, ["REELWAY_MAX_FFMPEG_MEMORY"], "4GiB", "SIZE",
        "How much memory one ffmpeg may use; one that takes more is killed, and its task fails";
    max_input_size, ["REELWAY_MAX_INPUT_SIZE"], "10GiB", "SIZE",
        "The largest input that is fetched, and the largest file that is uploaded";
    input_gateway, ["REELWAY_INPUT_GATEWAY"], "auto", "auto|never",
        "Whether ffmpeg reads inputs while they come (where the server gives parts of them and the kernel can hold ffmpeg to one port, Linux 6.7), or every input is downloaded first";
    max_input_duration, ["REELWAY_MAX_INPUT_DURATION"], "24h", "DURATION",
        "The longest input that is taken";
    max_pixels, ["REELWAY_MAX_PIXELS"], "67108864", "NUMBER",
        "The largest picture of an input that is taken, in pixels; 67108864 is the most";
    max_streams, ["REELWAY_MAX_STREAMS"], "64", "NUMBER",
        "The most streams of an input that is taken; 64 is the most";
    max_fps, ["REELWAY_MAX_FPS"], "120", "NUMBER",
        "The most pictures a second of an output; what has more is thinned out. 120 is the most";
    max_queued, ["REELWAY_MAX_QUEUED"], "10000", "NUMBER",
        "How many tasks may wait before new ones are answered with 429";
    max_connections, ["REELWAY_MAX_CONNECTIONS"], "1024", "NUMBER",
        "How many connections of clients may be open at once; more wait until one ends";
    keep_jobs, ["REELWAY_KEEP_JOBS"], "90days", "DURATION|forever",
        "How long a job that has ended and has no outputs is kept";
    keep_outputs, ["REELWAY_KEEP_OUTPUTS"], "forever", "DURATION|forever",
        "How long outputs are kept after their job has ended";
    keep_uploads, ["REELWAY_KEEP_UPLOADS"], "7days", "DURATION",
        "How long an uploaded file is kept after a job last used it; one that is not whole goes after a day";
    keep_deliveries, ["REELWAY_KEEP_DELIVERIES"], "30days", "DURATION",
        "How long webhooks that were delivered or given up are kept for replay";
    min_free_disk, ["REELWAY_MIN_FREE_DISK"], "1GiB", "SIZE",
        "How much of the data folder's disk must be free before a task is claimed";
    min_free_memory, ["REELWAY_MIN_FREE_MEMORY"], "256MiB", "SIZE",
        "How much memory must be free, in the machine and the container, before a task is claimed";
    ffmpeg, ["REELWAY_FFMPEG"], "ffmpeg from PATH", "FILE",
        "The ffmpeg program, 5.1 or later";
    ffprobe, ["REELWAY_FFPROBE"], "ffprobe from PATH", "FILE",
        "The ffprobe program, 5.1 or later";
    encoder, ["REELWAY_ENCODER"], "software", "software|auto|nvenc|qsv|vaapi|videotoolbox",
        "What encodes H.264 and H.265 videos: the processors, the hardware that is found, or one kind of it";
    sandbox, ["REELWAY_SANDBOX"], "required", "required|permissive",
        "Whether the server refuses to work where the kernel cannot box ffmpeg in, or works all the same";
    sandbox_extras, ["REELWAY_SANDBOX_EXTRAS"], "namespaces,cgroup", "LIST|none",
        "Which layers are put around ffmpeg's sandbox where the host has them";
    log, ["REELWAY_LOG"], "info", "FILTER",
        "What is logged, such as `debug` or `warn,reelway=debug`";
    log_format, ["REELWAY_LOG_FORMAT"], "text on a terminal, else json", "text|json",
        "How logs are written";
    otel_exporter_otlp_endpoint, ["OTEL_EXPORTER_OTLP_ENDPOINT"], "", "URL",
        "Where an OpenTelemetry collector takes traces, such as http://collector:4318; they go to {otel_exporter_otlp_endpoint}/v1/traces as OTLP over HTTP, and nowhere when it is not said";
    otel_exporter_otlp_headers, ["OTEL_EXPORTER_OTLP_HEADERS"], "", "NAME=VALUE[,NAME=VALUE…]",
        "Headers that the collector asks for, such as a key", secret;
    otel_service_name, ["OTEL_SERVICE_NAME"], "reelway", "NAME",
        "What this process is called in traces";
    otel_traces_sampler, ["OTEL_TRACES_SAMPLER"], "parentbased_always_on", "SAMPLER",
        "Which traces are kept: always_on, always_off, traceidratio, or one of them behind parentbased_, which does as a request's traceparent says";
    otel_traces_sampler_arg, ["OTEL_TRACES_SAMPLER_ARG"], "1.0", "NUMBER",
        "The share of traces that traceidratio keeps, from 0 to 1";
}

impl Setting {
    /// The flag without its dashes.
    #[must_use]
    pub fn flag(&self) -> String {
        self.key.replace('_', "-")
    }

    /// Whether the flag alone turns it on.
    #[must_use]
    pub fn is_switch(&self) -> bool {
        self.shape == "true|false"
    }

    /// The setting with this key.
    #[must_use]
    pub fn find(key: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.key == key)
    }
}
