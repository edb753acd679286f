"""Tables follow the dictionary; schema redcap describes them."""
