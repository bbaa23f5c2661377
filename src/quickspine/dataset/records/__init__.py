"""TFRecord shards: written once, read in an order that (seed, epoch) decides."""
