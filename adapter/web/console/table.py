"""All pages of the console that one signs in for, noun by noun."""

from __future__ import annotations

from adapter.web.console import (
    deliveries,
    endpoints,
    events,
    members,
    overview,
    programs,
    redemptions,
)
from adapter.web.console.visit import Page

PAGES: tuple[Page, ...] = (
    Page("GET", "", overview.overview),
    Page("GET", "/members", members.members),
    Page("GET", "/members/{member}", members.member),
    Page("GET", "/programs", programs.programs),
    Page("GET", "/programs/{program}", programs.program),
    Page("GET", "/redemptions", redemptions.redemptions),
    Page("GET", "/redemptions/{redemption}", redemptions.redemption),
    Page("POST", "/redemptions/{redemption}/clear", redemptions.clear),
    Page("GET", "/deliveries", deliveries.deliveries),
    Page("GET", "/deliveries/{delivery}", deliveries.delivery),
    Page("POST", "/deliveries/{delivery}/replay", deliveries.replay_one),
    Page("GET", "/replays", deliveries.replays),
    Page("GET", "/replays/new", deliveries.confirm_replay),
    Page("POST", "/replays", deliveries.create_replay),
    Page("GET", "/replays/{replay}", deliveries.show_replay),
    Page("GET", "/endpoints", endpoints.endpoints),
    Page("GET", "/endpoints/{endpoint}", endpoints.endpoint),
    Page("POST", "/endpoints/{endpoint}/enable", endpoints.enable),
    Page("POST", "/endpoints/{endpoint}/disable", endpoints.disable),
    Page("POST", "/endpoints/{endpoint}/test", endpoints.test),
    Page("GET", "/events", events.events),
    Page("GET", "/events/{event}", events.event),
    Page("POST", "/events/{event}/replay", events.replay),
)
