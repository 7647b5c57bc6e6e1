//! The product from the outside, one folder for each word of the route.

mod answer;
mod app;

mod request;
