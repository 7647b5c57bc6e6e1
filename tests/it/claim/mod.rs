//! Tasks on leases and the work on them: the real claimer, heart, rescuer and worker, with an
//! ffmpeg that does what its input says.

mod away;
mod crew;
mod ends;
mod failures;
mod lanes;
mod leases;
mod memory;
mod outage;
