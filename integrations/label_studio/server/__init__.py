"""A Label Studio of your own: installed, started, stopped."""
