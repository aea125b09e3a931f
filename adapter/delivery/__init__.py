"""What goes out: endpoints, signing, schedules, sending, replays."""
