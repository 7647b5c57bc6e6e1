//! Spans go to a collector by OTLP, in batches, from a thread of their own.
//!
//! Nothing here is waited for: between the work and the collector is a queue of [`QUEUE`] spans.
//! What finds no place in it, and what the collector does not take, is lost and counted.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use opentelemetry::trace::{SpanBuilder, SpanKind, Tracer, TracerProvider as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{
    ExporterBuildError, Protocol, SpanExporter as Otlp, WithExportConfig as _, WithHttpConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider, Span, SpanData,
    SpanExporter, SpanProcessor,
};
use secrecy::ExposeSecret as _;
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use crate::config::{Sampling, Traces};
use crate::metrics;
use crate::trace::UNTRACED;

/// How many spans may wait for the collector.
const QUEUE: usize = 4096;

/// How long the last spans may take at the end of the process.
const LAST_SPANS: Duration = Duration::from_secs(3);

/// Why spans cannot be sent.
#[derive(Debug, thiserror::Error)]
#[error("traces cannot be sent to the collector of OTEL_EXPORTER_OTLP_ENDPOINT")]
pub struct SpansError(#[from] ExporterBuildError);

/// Sends the spans of this process until [`Spans::end`].
#[derive(Debug)]
pub struct Spans {
    provider: SdkTracerProvider,
}

impl Spans {
    /// Begins to send, on the present runtime.
    pub(super) fn start(traces: &Traces) -> Result<Self, SpansError> {
        let headers: HashMap<String, String> = traces
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.expose_secret().to_owned()))
            .collect();
        let otlp = Otlp::builder()
            .with_http()
            .with_endpoint(traces.endpoint.as_str())
            .with_protocol(Protocol::HttpBinary)
            .with_headers(headers)
            .build()?;
        let waiting = Arc::<AtomicUsize>::default();
        let sender = Sender {
            otlp: Arc::new(otlp),
            runtime: Handle::current(),
            waiting: waiting.clone(),
            is_away: AtomicBool::new(false),
        };
        let queue = BatchConfigBuilder::default().with_max_queue_size(QUEUE).build();
        let batches = BatchSpanProcessor::builder(sender).with_batch_config(queue).build();
        let resource = Resource::builder()
            .with_service_name(traces.service_name.clone())
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let provider = SdkTracerProvider::builder()
            .with_sampler(sampler(traces.sampling))
            .with_resource(resource)
            .with_span_processor(Queue { batches, waiting })
            .build();
        Ok(Self { provider })
    }

    /// Hears of the spans of the route, and of what went wrong in them.
    pub(super) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let tracer = Route(self.provider.tracer("reelway"));
        let layer = tracing_opentelemetry::layer().with_tracer(tracer);
        let plain = layer
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false);
        plain.with_filter(filter_fn(is_told).with_max_level_hint(LevelFilter::INFO))
    }

    /// Sends what is left, for a few seconds at most.
    pub async fn end(self) {
        let ended = spawn_blocking(move || self.provider.shutdown_with_timeout(LAST_SPANS)).await;
        if !matches!(ended, Ok(Ok(()))) {
            tracing::warn!("the last spans of this process did not reach the collector");
        }
    }
}

/// Whether a trace tells of it: not what libraries say, and of events only what went wrong.
fn is_told(metadata: &Metadata<'_>) -> bool {
    let most = if metadata.is_span() { Level::INFO } else { Level::WARN };
    let target = metadata.target();
    *metadata.level() <= most && target.starts_with("reelway") && target != UNTRACED
}

fn sampler(Sampling { heeds_callers, share }: Sampling) -> Sampler {
    let own = Sampler::TraceIdRatioBased(share);
    if heeds_callers { Sampler::ParentBased(Box::new(own)) } else { own }
}

/// Says of each span which side of a call it is: collectors draw their maps by that.
#[derive(Clone, Debug)]
struct Route(SdkTracer);

impl Tracer for Route {
    type Span = Span;

    fn build_with_context(&self, mut builder: SpanBuilder, parent: &Context) -> Span {
        builder.span_kind = Some(match builder.name.as_ref() {
            "request" => SpanKind::Server,
            "job" => SpanKind::Producer,
            "task" => SpanKind::Consumer,
            "webhook" | "provider" => SpanKind::Client,
            _ => SpanKind::Internal,
        });
        self.0.build_with_context(builder, parent)
    }
}

/// Lets so many spans wait and no more.
#[derive(Debug)]
struct Queue {
    batches: BatchSpanProcessor,
    waiting: Arc<AtomicUsize>,
}

impl SpanProcessor for Queue {
    fn on_start(&self, _span: &mut Span, _parent: &Context) {}

    fn on_end(&self, span: SpanData) {
        if self.waiting.fetch_add(1, Ordering::AcqRel) < QUEUE {
            self.batches.on_end(span);
        } else {
            self.waiting.fetch_sub(1, Ordering::AcqRel);
            metrics::SPANS_LOST.add(1, &[]);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.batches.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.batches.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.batches.set_resource(resource);
    }
}

/// Sends batches. They come from a thread that has no runtime, which the HTTP client needs.
#[derive(Debug)]
struct Sender {
    otlp: Arc<Otlp>,
    runtime: Handle,
    waiting: Arc<AtomicUsize>,
    is_away: AtomicBool,
}

impl SpanExporter for Sender {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        self.waiting.fetch_sub(spans, Ordering::AcqRel);
        let otlp = self.otlp.clone();
        let sending = self.runtime.spawn(async move { otlp.export(batch).await });
        let sent = sending.await.unwrap_or(Err(OTelSdkError::AlreadyShutdown));
        self.tell(&sent);
        if sent.is_err() {
            metrics::SPANS_LOST.add(spans as u64, &[]);
        }
        sent
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.otlp.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        // Before the first batch, when nobody else has it.
        if let Some(otlp) = Arc::get_mut(&mut self.otlp) {
            otlp.set_resource(resource);
        }
    }
}

impl Sender {
    /// Once when it begins, and once when it is over.
    fn tell(&self, sent: &OTelSdkResult) {
        match (sent, self.is_away.swap(sent.is_err(), Ordering::Relaxed)) {
            (Err(error), false) => tracing::warn!(
                %error,
                "the collector does not take spans; they are lost until it does, and nothing waits \
                 for it"
            ),
            (Ok(()), true) => tracing::info!("the collector takes spans again"),
            _ => {}
        }
    }
}
