//! From options and probed facts to ffmpeg commands. Pure.
