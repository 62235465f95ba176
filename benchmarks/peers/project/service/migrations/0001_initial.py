"""Migration 0001_initial.

- create table users
"""

from tortoise import BaseDBAsyncClient

from colibris.persist.migrations import sql_for

UPGRADE = {
    'sqlite': [
        """CREATE TABLE IF NOT EXISTS "aerich" (
    "id" INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    "version" VARCHAR(255) NOT NULL,
    "app" VARCHAR(100) NOT NULL,
    "content" JSON NOT NULL
)""",
        """CREATE TABLE "users" (
    "id" INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    "name" VARCHAR(100) NOT NULL,
    "email" VARCHAR(200) NOT NULL,
    "role" VARCHAR(20) NOT NULL,
    "is_active" INT NOT NULL,
    "created_at" TIMESTAMP NOT NULL,
    "score" REAL NOT NULL
)""",
    ],
    'postgres': [
        """CREATE TABLE IF NOT EXISTS "aerich" (
    "id" SERIAL NOT NULL PRIMARY KEY,
    "version" VARCHAR(255) NOT NULL,
    "app" VARCHAR(100) NOT NULL,
    "content" JSONB NOT NULL
)""",
        """CREATE TABLE "users" (
    "id" SERIAL NOT NULL PRIMARY KEY,
    "name" VARCHAR(100) NOT NULL,
    "email" VARCHAR(200) NOT NULL,
    "role" VARCHAR(20) NOT NULL,
    "is_active" BOOL NOT NULL,
    "created_at" TIMESTAMPTZ NOT NULL,
    "score" DOUBLE PRECISION NOT NULL
)""",
        'COMMENT ON TABLE "users" IS \'Who uses the service.\'',
    ],
    'mysql': [
        """CREATE TABLE IF NOT EXISTS `aerich` (
    `id` INT NOT NULL PRIMARY KEY AUTO_INCREMENT,
    `version` VARCHAR(255) NOT NULL,
    `app` VARCHAR(100) NOT NULL,
    `content` JSON NOT NULL
) CHARACTER SET utf8mb4""",
        """CREATE TABLE `users` (
    `id` INT NOT NULL PRIMARY KEY AUTO_INCREMENT,
    `name` VARCHAR(100) NOT NULL,
    `email` VARCHAR(200) NOT NULL,
    `role` VARCHAR(20) NOT NULL,
    `is_active` BOOL NOT NULL,
    `created_at` DATETIME(6) NOT NULL,
    `score` DOUBLE NOT NULL
) CHARACTER SET utf8mb4 COMMENT='Who uses the service.\'""",
    ],
}

DOWNGRADE = {
    'sqlite': [
        'PRAGMA foreign_keys = OFF',
        'BEGIN',
        'DROP TABLE "users"',
        'COMMIT',
        'PRAGMA foreign_keys = ON',
    ],
    'postgres': [
        'DROP TABLE "users"',
    ],
    'mysql': [
        'DROP TABLE `users`',
    ],
}


async def upgrade(db: BaseDBAsyncClient) -> str:
    return sql_for(db, UPGRADE)


async def downgrade(db: BaseDBAsyncClient) -> str:
    return sql_for(db, DOWNGRADE)


# The models at this point, from which the next migration is made.
MODELS_STATE = (
    'eJzdl91P2zAQwP+VKE9M2lDJEEx7S0sY0doEpekQTChyE7e1SOySuECF+r/PduJ8OGlUHk'
    'AaTzT34Tv/zj4fr3pCIhhnx7MMpvpP7VXHIIHsR0P+VdPBel1JuYCCeSwMN8xCSMA8oykI'
    'KRMuQJxBJopgFqZoTRHB3PRmRTRmnml0BTXm9oRCeMxdIxIyX4SXvVYbjB43MKBkCZmKp/'
    'v3nokRjuALzOTn+iFYIBhHjd2giC8g5AHdroXMxvRSGPIE5kFI4k2CK+P1lq4ILq0Rply6'
    'hBimgEK+PE03fJN4E8cFDLnvPNPKJE+x5hPBBdjEHBX3zhOoZHoQOK4fTC0/CPQWRulRY1'
    'aIQoJ5CViqmdj9kqfwzTg5PT/98f3s9AczEWmWkvNdHroCkzsKPI6v74QeUJBbCMYVVPG3'
    'hXW0Amk3V2mvkGUpq2Qlxz60UlCxrU7dR8BNwEsQQ7ykK/Z5Mhj0oPxjeqMr0ztiVl94SM'
    'KuSX55nEJl5DrOu+ILE4DitwAuHT4hYeMgwkYPYaNNOCXxm06wtP+UfA/C20NXhYuygL0G'
    '6KmD8JAwkADvab91P4X0nDm+F2rZmt8BdQ/aoeuO+cpJlj3GQmD7CuPZZGix5iHQMyNEYb'
    '0/V8DDFHIkAaBt4hdMQ1ECu5E3PRXmUeF6LH/8j2edbTBycbwt6txTEN+eWFPfnFw3qnJh'
    '+hbXGEK6VaRHZ8q9KBfRbmz/SuOf2p3rWAIvyegyFRErO/9O5zmBDSUBJs8BiGrTgpRKao'
    '2qZyFJO67YZUzAnvmm9FAKveAu71XcwfHg4y/XhTsbji3t2rNG9tR2nWbxhLJ5qTzLHLNb'
    'xefIxUNt6OGCOQgfnkEaBS0NMcg+27YqMRJVAjBYCmzlBmM0T1G+jyc2XudETuTYXcxhYh'
    'jnWcshXR6JciTPa16Yy6m4mG+bo3HFrdlhlPNaiEqGoglxmxQlIJW3SzlCyprWL8tjJbEn'
    'pner/bZuNXPmu7Yz8qyJ5fgaOxKaMxuP1dBTy7PNcamur6Cm1GkkwgRlnKJ3llDkcKoOt1'
    '1g1HmunqaqK/NqKJTg5eDWGv36whs94Y194Y2O8HKsUcei/uA9sfeFbkVuvPWdg8OBB7N8'
    'RmVQIVCiNZ+57mezK17jSdjXvve9C0oOZfNt9e+uyKIfKUEPaWp5CwtJkkAsWm33P9W7+9'
    '1u9w8XFvfY'
)
