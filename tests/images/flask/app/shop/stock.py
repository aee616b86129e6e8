"""What the shop sells."""

GOODS = [
    {"name": "apples", "price": 240, "count": 120},
    {"name": "bread", "price": 310, "count": 18},
    {"name": "coffee", "price": 890, "count": 42},
]
