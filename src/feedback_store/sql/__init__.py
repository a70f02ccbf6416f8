"""What stores in a database of SQL share: a query as conditions, places in an order, and sums.

What they do not share stays with them: how a row is found whose labels are looked for, and what is
counted beforehand.
"""
