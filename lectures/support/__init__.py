"""What topics share: what --given says, numbers put into equations, equations laid out as on a blackboard."""
