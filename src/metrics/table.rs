//! Every metric there is.

use super::{Metric, Shape};

/// Seconds, from a moment to six hours: work on media.
const WORK: Shape = Shape::Histogram(&[
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 21600.0,
]);

/// Seconds, from a few milliseconds to half a minute: requests and their answers.
const ANSWER: Shape =
    Shape::Histogram(&[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0]);

/// Seconds of media in a second of work.
const SPEED: Shape =
    Shape::Histogram(&[0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0]);

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric { name, shape: Shape::Counter, help, labels }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, shape: Shape::Gauge, help, labels }
}

const fn histogram(
    name: &'static str,
    shape: Shape,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric { name, shape, help, labels }
}

/// Declares the metrics and the table of all of them.
macro_rules! metrics {
    ($($constant:ident = $metric:expr;)*) => {
        $(
            #[expect(missing_docs, reason = "the row says what it is")]
            pub const $constant: Metric = $metric;
        )*

        /// Every metric, in the order of the route.
        pub const TABLE: &[Metric] = &[$($constant),*];
    };
}

metrics! {
    BUILD_INFO = gauge("reelway_build_info", &["version", "ffmpeg", "engine"],
        "1, with the versions of this process as labels.");
    SANDBOX_LEVEL = gauge("reelway_sandbox_level", &[],
        "How well ffmpeg is contained: 2 is full, 1 partial, 0 not at all.");
    DATABASE_UP = gauge("reelway_database_up", &[],
        "1 when the database answered this scrape, else 0 (then the backlog is as it was).");

    HTTP_REQUESTS = counter("reelway_http_requests_total", &["route", "method", "status"],
        "Requests that were answered.");
    HTTP_SECONDS = histogram("reelway_http_request_seconds", ANSWER, &["route"],
        "How long it took until an answer began.");

    TASKS_QUEUED = gauge("reelway_tasks_queued", &["lane", "kind"],
        "Tasks that wait for a worker.");
    TASKS_QUEUED_AGE = gauge("reelway_tasks_oldest_due_seconds", &["lane", "kind"],
        "How long the longest waiting task could have been at work.");
    TASKS_PROCESSING = gauge("reelway_tasks_processing", &["lane", "kind"],
        "Tasks in the hands of workers or of a provider.");
    DELIVERIES_PENDING = gauge("reelway_deliveries_pending", &[],
        "Webhooks that are to be sent, now or at their next attempt.");
    DELIVERIES_AGE = gauge("reelway_deliveries_oldest_due_seconds", &[],
        "How long the longest waiting webhook could have been on its way.");
    DESTINATIONS_DISABLED = gauge("reelway_destinations_disabled", &[],
        "Receivers that get no webhooks any more because they failed for days or said 410.");

    SLOTS = gauge("reelway_slots", &["lane"],
        "How many tasks this process works on at once.");
    TASKS_AT_WORK = gauge("reelway_tasks_at_work", &["kind"],
        "Tasks that this process works on now.");
    TASKS_WAITING_FOR_MEMORY = gauge("reelway_tasks_waiting_for_memory", &["lane"],
        "Tasks at work that wait until there is memory for their ffmpeg.");
    CLAIMS = counter("reelway_claims_total", &["lane", "kind"],
        "Tasks that this process has taken.");
    WAIT_SECONDS = histogram("reelway_task_wait_seconds", WORK, &["lane"],
        "From the acceptance of a job to its first claim.");
    LEASES_LOST = counter("reelway_leases_lost_total", &[],
        "Leases that ended under work: the work was stopped and another worker goes on.");
    RESCUED = counter("reelway_tasks_rescued_total", &[],
        "Tasks of lost workers that this process put back or failed.");
    POISONED = counter("reelway_jobs_poisoned_total", &[],
        "Jobs that this process failed because their workers were lost too often.");
    ATTEMPTS = counter("reelway_attempts_total", &["kind", "outcome"],
        "Claims that came to an end: succeeded, retried, failed, cancelled, handed_back, lost.");
    ATTEMPT_SECONDS = histogram("reelway_attempt_seconds", WORK, &["kind"],
        "From a claim to the end of the work on it.");
    FAILURES = counter("reelway_attempt_failures_total", &["kind", "error"],
        "Attempts that failed, by the error's kind.");
    FALLBACKS = counter("reelway_fallbacks_total", &[],
        "Attempts whose first way failed (an encoder in hardware, libvips, pieces) and that went on in software, by ffmpeg or in one.");
    PIECES = counter("reelway_pieces_total", &[],
        "Pieces of long videos that were made here, of our own tasks and to help others.");
    STAGE_SECONDS = histogram("reelway_stage_seconds", WORK, &["stage"],
        "How long import, probe, encode and export took when they succeeded.");

    INPUT_BYTES = counter("reelway_input_bytes_total", &[],
        "Bytes of inputs that were fetched.");
    INPUT_USES = counter("reelway_input_uses_total", &["cache"],
        "Inputs that tasks needed: hit when the file was here or on its way, else miss.");
    INPUT_WAYS = counter("reelway_input_ways_total", &["way"],
        "Inputs by how they are read: gateway while they come, file when they are here.");
    INPUT_GATEWAY_BYTES = counter("reelway_input_gateway_bytes_total", &[],
        "Bytes of inputs that were fetched in parts, as they were read.");
    ENCODE_SPEED = histogram("reelway_encode_speed_ratio", SPEED, &["kind"],
        "Seconds of output made in a second of encoding, for outputs with a length.");
    OUTPUT_BYTES = counter("reelway_output_bytes_total", &["kind"],
        "Bytes of outputs that were published.");

    WEBHOOK_ATTEMPTS = counter("reelway_webhook_attempts_total", &["outcome", "answer"],
        "Webhooks that were sent: delivered, retried, failed or disabled; the answer is the class \
         of its status, or why there was none.");
    WEBHOOK_SECONDS = histogram("reelway_webhook_seconds", ANSWER, &["outcome"],
        "How long a receiver took to answer.");

    SPANS_LOST = counter("reelway_spans_lost_total", &[],
        "Spans of traces that the collector did not take, or that found the queue to it full.");

    DISK_FREE = gauge("reelway_disk_free_bytes", &[],
        "What is free on the disk of the data folder, when work was last looked for.");
    MEMORY_FREE = gauge("reelway_memory_free_bytes", &[],
        "What is free of the memory of machine or container, when work was last looked for.");
}
